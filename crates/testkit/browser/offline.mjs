// Opens an offline archive from disk in Chromium: `node offline.mjs` with the folder in P2PDS_ARCHIVE and, as JSON in
// P2PDS_FIND, words and how many records have them. One line for each step on standard output.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(join(process.env.P2PDS_NPM, 'package.json'))
const { default: puppeteer } = await import(require.resolve('puppeteer-core'))
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const dir = process.env.P2PDS_ARCHIVE
const find = JSON.parse(process.env.P2PDS_FIND)

const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']
/** Pages that are looked at closely; all others are opened. */
const CLOSELY = 14
const PATIENCE = 60_000

function fail(what) {
  throw new Error(what)
}

function which(name) {
  return process.env.PATH.split(':').map((part) => join(part, name)).find(existsSync) ?? fail(`there is no ${name}`)
}

function htmlFiles(below) {
  return readdirSync(join(dir, below), { withFileTypes: true }).flatMap((entry) => {
    const path = below === '' ? entry.name : `${below}/${entry.name}`
    if (entry.isDirectory()) return ['blobs', 'records'].includes(path) ? [] : htmlFiles(path)
    return entry.name.endsWith('.html') ? [path] : []
  })
}

const browser = await puppeteer.launch({
  executablePath: which(process.env.P2PDS_CHROMIUM ?? 'chromium'),
  headless: true,
  args: ['--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--no-first-run', '--disable-default-apps', '--disable-dev-shm-usage', '--host-resolver-rules=MAP * ~NOTFOUND'],
})
const page = await browser.newPage()
page.setDefaultTimeout(PATIENCE)
const troubles = []
const home = pathToFileURL(dir).href
page.on('console', (message) => troubles.push(`console: ${message.type()}: ${message.text()}`))
page.on('pageerror', (error) => troubles.push(`script: ${error.message}`))
page.on('dialog', async (dialog) => {
  troubles.push(`a window opened: ${dialog.message()}`)
  await dialog.dismiss()
})
let requests = 0
page.on('request', (request) => {
  requests += 1
  if (!request.url().startsWith(`${home}/`)) troubles.push(`a request to ${request.url()}`)
})
page.on('requestfailed', (request) => {
  const why = request.failure()?.errorText
  if (why !== 'net::ERR_ABORTED') troubles.push(`${request.url()} failed: ${why}`)
})

function quiet(where) {
  if (troubles.length > 0) fail(`${where}: ${troubles.join('; ')}`)
}

async function open(path) {
  await page.goto(`${home}/${path}`, { waitUntil: 'load' })
}

/** Every picture of the page is one. */
async function pictures(path) {
  const broken = await page.evaluate(async () => {
    const images = [...document.images]
    images.forEach((image) => { image.loading = 'eager' })
    const tried = await Promise.all(images.map((image) => image.decode().then(() => null, () => image.src)))
    return tried.filter(Boolean)
  })
  if (broken.length > 0) fail(`pictures of ${path} that are none: ${broken.join(' ')}`)
}

async function closely(path) {
  for (const scheme of ['light', 'dark']) {
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }])
    await page.setViewport({ width: 1280, height: 900 })
    await page.evaluate(axe)
    const found = await page.evaluate(
      (tags) => axe.run(document, { runOnly: { type: 'tag', values: tags }, preload: false, resultTypes: ['violations'] }), RULES)
    const words = found.violations.map((one) =>
      `${one.id}: ${one.help}: ` + one.nodes.slice(0, 3).map((node) => `${node.target.join(' ')} ${node.failureSummary}`).join(' | '))
    if (words.length > 0) fail(`accessibility of ${path} (${scheme}): ${words.join('; ')}`)
  }
  await page.setViewport({ width: 320, height: 640 })
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  if (wide > 0) fail(`${path} is ${wide} pixels wider than a window of 320`)
  await page.setViewport({ width: 1280, height: 900 })
}

/** Types words into the search and waits for its end; the links found. */
async function search(words) {
  await open('pages/search.html')
  await page.focus('#words')
  await page.keyboard.type(words)
  await page.keyboard.press('Enter')
  for (;;) {
    await page.waitForFunction(() =>
      document.getElementById('search').dataset.done === 'yes' || !document.getElementById('more').hidden)
    if (await page.$eval('#more', (more) => more.hidden)) break
    await page.evaluate(() => document.getElementById('more').click())
    await page.waitForFunction(() => document.getElementById('more').hidden ||
      document.getElementById('search').dataset.done === 'yes')
  }
  return page.$$eval('#found a', (links) => links.map((link) => link.href))
}

const steps = [
  ['every page opens, asks for nothing outside of the folder and says nothing in the console', async () => {
    const files = htmlFiles('')
    for (const path of files) {
      await open(path)
      await pictures(path)
      quiet(path)
    }
    return `${files.length} pages, ${requests} requests to the folder`
  }],
  ['axe finds nothing, in the light and in the dark, and 320 pixels are enough', async () => {
    const files = htmlFiles('')
    const chosen = files.filter((path) => !/[2-9]\.html$|\d\d\.html$/.test(path)).slice(0, CLOSELY)
    for (const path of chosen) {
      await open(path)
      await closely(path)
      quiet(path)
    }
    return `${chosen.length} pages`
  }],
  ['the search finds what there is, and its links lead there', async () => {
    for (const [words, wanted] of Object.entries(find)) {
      const begun = performance.now()
      const links = await search(words)
      const took = Math.round(performance.now() - begun)
      if (links.length !== wanted) fail(`${links.length} records found with "${words}", there are ${wanted}`)
      quiet(`search for ${words}`)
      if (wanted > 0) {
        await page.goto(links[0], { waitUntil: 'load' })
        if (!await page.$(':target')) fail(`${links[0]} leads to nothing`)
      }
      console.log(`   "${words}": ${links.length} in ${took} ms`)
    }
    const links = await search(Object.keys(find)[0].toUpperCase())
    if (links.length !== Object.values(find)[0]) fail('case matters')
  }],
  ['a search can be kept as a bookmark', async () => {
    const [words, wanted] = Object.entries(find).find(([, count]) => count === 1)
    await page.goto('about:blank')
    await open(`pages/search.html#q=${encodeURIComponent(words)}`)
    await page.waitForFunction(() => document.getElementById('search').dataset.done === 'yes')
    const found = await page.$$eval('#found a', (links) => links.length)
    if (found !== wanted) fail(`${found} found`)
  }],
  ['without JavaScript the posts are there by month, and the search says why it is not', async () => {
    await page.setJavaScriptEnabled(false)
    await open('pages/months.html')
    const link = await page.$('main li a')
    await Promise.all([page.waitForNavigation(), link.click()])
    if ((await page.$$('article')).length === 0) fail('a month leads to no posts')
    await open('pages/search.html')
    const text = await page.$eval('main', (main) => main.textContent)
    if (!text.includes('needs JavaScript')) fail(text)
    await page.setJavaScriptEnabled(true)
  }],
  ['the first key press leads past the navigation', async () => {
    await open('index.html')
    await page.keyboard.press('Tab')
    const text = await page.evaluate(() => document.activeElement.textContent)
    if (!text.startsWith('Skip')) fail(`the focus is on ${text}`)
    await page.keyboard.press('Enter')
    if (!page.url().endsWith('#main')) fail(page.url())
    quiet('index.html')
  }],
]

let status = 0
for (const [name, step] of steps) {
  try {
    const said = await step()
    console.log(`ok ${name}${said ? `: ${said}` : ''}`)
  } catch (error) {
    console.log(`FAILED ${name}: ${error.message} (${page.url()})`)
    status = 1
  }
}
await browser.close()
process.exit(status)
