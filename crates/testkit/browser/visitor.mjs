// A browser, and somebody at it who uses nothing but the keyboard and looks closely at every page.

import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const npm = process.env.P2PDS_NPM
const require = createRequire(join(npm, 'package.json'))
const { default: puppeteer } = await import(require.resolve('puppeteer-core'))
const axe = readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8')
const screens = process.env.P2PDS_SCREENS_DIR

/** What a page must keep: the WCAG 2.2 AA rules of axe. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
/** The window of a desk, the one of a small phone, and what is left of the first at 200 %. */
const DESK = { width: 1280, height: 900 }
const PHONE = { width: 320, height: 640 }
const ZOOMED = { width: 640, height: 450, deviceScaleFactor: 2 }
/** The longest that anything on a page may take, in milliseconds: this machine may be busy. */
const PATIENCE = 60_000

/** Names under which Chromium reaches this machine; every other name does not exist. */
const NAMES = 'MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE *.localhost, EXCLUDE 127.0.0.1'

export function fail(what) {
  throw new Error(what)
}

/** Somebody with a browser profile of their own. Paths are those of the node at `base`. */
export class Visitor {
  constructor(name, page, base) {
    Object.assign(this, { name, page, base, troubles: [], expected: [], found: [] })
    page.setDefaultTimeout(PATIENCE)
    page.on('console', (message) => {
      if (message.type() === 'error') this.trouble(`console: ${message.text()}`)
    })
    page.on('dialog', (dialog) => dialog.accept())
    page.on('pageerror', (error) => this.trouble(`script: ${error.message}`))
    page.on('request', (request) => this.watch(request))
    page.on('requestfailed', (request) => {
      const why = request.failure()?.errorText
      // What a new page cut off was asked for by the old one.
      if (why !== 'net::ERR_ABORTED') this.trouble(`${request.url()} failed: ${why}`)
    })
  }

  trouble(text) {
    if (!this.expected.some((word) => text.includes(word))) this.troubles.push(text)
  }

  /** Nothing but the page itself may come from another origin, and that only from the demo. */
  watch(request) {
    const url = new URL(request.url())
    if (['data:', 'blob:', 'about:'].includes(url.protocol)) return
    const page = request.frame()?.url() ?? ''
    const moves = request.isNavigationRequest() && request.frame() === this.page.mainFrame()
    if (moves && (url.protocol === 'file:' || /^(.+\.)?localhost$|^127\.0\.0\.1$/.test(url.hostname))) return
    const own = page.startsWith('file:') ? url.protocol === 'file:' : url.origin === origin(page)
    if (!own) this.trouble(`request to another origin: ${request.url()} from ${page}`)
  }

  /** Goes to a path of the node, or to an address. */
  async go(path) {
    const response = await this.page.goto(new URL(path, this.base).href, { waitUntil: 'load' })
    return response?.status() ?? 0
  }

  get path() {
    const url = new URL(this.page.url())
    return url.pathname
  }

  get origin() {
    return origin(this.page.url())
  }

  /** The words of the page. */
  text() {
    return this.page.evaluate(() => document.body.innerText)
  }

  /** Waits until the page says this. */
  async says(words) {
    const wanted = words instanceof RegExp ? { source: words.source, flags: words.flags } : { text: words }
    const there = (wanted) => {
      const text = document.body?.innerText ?? ''
      return wanted.text === undefined ? new RegExp(wanted.source, wanted.flags).test(text) : text.includes(wanted.text)
    }
    try {
      await this.page.waitForFunction(there, { polling: 100 }, wanted)
    } catch {
      fail(`the page does not say ${words}; it says:\n${await this.text()}`)
    }
  }

  /** Waits for an element. */
  async sees(selector) {
    try {
      return await this.page.waitForSelector(selector, { visible: true })
    } catch {
      fail(`there is no ${selector}; the page says:\n${await this.text()}`)
    }
  }

  /** Moves the focus there with the Tab key. */
  async reach(selector) {
    await this.sees(selector)
    const focused = (selector) => document.activeElement?.matches(selector) ?? false
    for (let tab = 0; tab < 300; tab++) {
      if (await this.page.evaluate(focused, selector)) return
      await this.page.keyboard.press('Tab')
    }
    fail(`the Tab key does not reach ${selector}`)
  }

  /** Writes into a field. */
  async write(selector, text) {
    await this.reach(selector)
    await this.page.keyboard.down('Control')
    await this.page.keyboard.press('a')
    await this.page.keyboard.up('Control')
    await this.page.keyboard.press('Backspace')
    await this.page.keyboard.type(text)
  }

  /** Chooses a file. The dialog for it is the browser's own; the field is reached from the keyboard. */
  async choose(selector, path) {
    await this.reach(selector)
    await (await this.page.$(selector)).uploadFile(path)
  }

  /** Ticks a box, or chooses a radio button, if it is not yet. */
  async tick(selector, wanted = true) {
    await this.reach(selector)
    const now = await this.page.$eval(selector, (box) => box.checked)
    if (now !== wanted) await this.page.keyboard.press('Space')
  }

  /** Presses a button or follows a link that leads to a new page. */
  async press(selector) {
    await this.reach(selector)
    await Promise.all([this.page.waitForNavigation({ waitUntil: 'load' }), this.page.keyboard.press('Enter')])
  }

  /** Presses a button that stays on the page. */
  async push(selector) {
    await this.reach(selector)
    await this.page.keyboard.press('Enter')
  }

  /** Looks closely at the page: its rules, its shapes, its pictures. What is wrong is noted, and the step goes on. */
  async look(name) {
    try {
      await this.examine(name)
    } catch (error) {
      this.found.push(`${error.message}\n  at ${this.page.url()}`)
    }
  }

  async examine(name) {
    for (const scheme of ['light', 'dark']) {
      await this.scheme(scheme)
      await this.shape(DESK)
      await this.rules(`${name}, ${scheme}`)
      await this.shoot(`${name}-${scheme}`)
    }
    await this.scheme('light')
    for (const [shape, window] of [['zoomed', ZOOMED], ['phone', PHONE]]) {
      await this.shape(window)
      await this.fits(`${name}, ${shape}`)
      if (shape === 'phone') {
        await this.rules(`${name}, ${shape}`)
        await this.shoot(`${name}-phone`)
      }
    }
    await this.shape(DESK)
    await this.tabs(name)
    this.quiet(name)
  }

  /** Looks at the page where lines begin on the other side: its rules and its shapes, on a desk and on a phone. */
  async sides(name) {
    await this.scheme('light')
    for (const [shape, window] of [['desk', DESK], ['phone', PHONE]]) {
      await this.shape(window)
      await this.fits(`${name}, ${shape}`)
      await this.rules(`${name}, ${shape}`)
      await this.shoot(`${name}-${shape}`)
    }
    await this.shape(DESK)
    this.quiet(name)
  }

  /** Light or dark, and nothing that moves while it is looked at. */
  async scheme(value) {
    const still = { name: 'prefers-reduced-motion', value: 'reduce' }
    await this.page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }, still])
  }

  async shape(window) {
    await this.page.setViewport(window)
    await this.page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
  }

  async shoot(name) {
    await this.page.screenshot({ path: join(screens, `${name}.webp`), type: 'webp', quality: 80, fullPage: true })
  }

  async rules(where) {
    await this.page.evaluate(axe)
    const found = await this.page.evaluate(
      (tags) => axe.run(document, { runOnly: { type: 'tag', values: tags }, preload: false, resultTypes: ['violations'] }), RULES)
    const words = found.violations.map((one) =>
      `${one.id}: ${one.help}\n` + one.nodes.map((node) => `    ${node.target.join(' ')}: ${node.failureSummary}`).join('\n'))
    if (words.length > 0) fail(`accessibility of ${where}:\n${words.join('\n')}`)
  }

  /** Nothing is wider than the window. */
  async fits(where) {
    const wide = await this.page.evaluate(() => {
      const most = document.documentElement.clientWidth
      if (document.documentElement.scrollWidth <= most) return []
      const boxes = [...document.body.querySelectorAll('*')].map((one) => [one, one.getBoundingClientRect()])
      const out = boxes.filter(([, box]) => box.right > most + 1 || box.left < -1).slice(0, 5).map(([one, { left, right }]) =>
        `${one.tagName.toLowerCase()}.${one.className} from ${Math.round(left)} to ${Math.round(right)} of ${most}: ${one.textContent.trim().slice(0, 40)}`)
      return out.length > 0 ? out : [`the document is ${document.documentElement.scrollWidth} wide, and has room for ${most}`]
    })
    if (wide.length > 0) fail(`${where} scrolls sideways: ${wide.join('; ')}`)
  }

  /** The Tab key reaches everything that can be used, shows where it is, and comes out at the end. */
  async tabs(where) {
    await this.page.evaluate(() => {
      // The Tab key begins at the top of the page, wherever it was last.
      document.body.tabIndex = -1
      document.body.focus()
      document.body.removeAttribute('tabindex')
      window.scrollTo(0, 0)
      const usable = 'a[href], button, input:not([type=hidden]), select, textarea, summary, [tabindex]:not([tabindex="-1"])'
      const groups = new Set()
      window.__left = new Set([...document.querySelectorAll(usable)].filter((one) => {
        if (one.disabled || !one.checkVisibility({ checkVisibilityCSS: true })) return false
        if (one.type !== 'radio') return true
        // Of a group of radio buttons one is reached; arrows lead to the others.
        const key = `${one.form?.action} ${one.name}`
        if (groups.has(key)) return false
        groups.add(key)
        return true
      }))
      window.__left.groups = groups
    })
    const step = () => {
      const now = document.activeElement
      if (!now || now === document.body) return { out: true }
      const style = getComputedStyle(now)
      const shown = style.outlineStyle !== 'none' || style.boxShadow !== 'none'
      const same = (one) => one === now || (one.type === 'radio' && now.type === 'radio' && one.name === now.name)
      for (const one of window.__left) if (same(one)) window.__left.delete(one)
      return { shown, what: now.outerHTML.slice(0, 120) }
    }
    const most = (await this.page.evaluate(() => window.__left.size)) + 3
    for (let tab = 0; tab < most; tab++) {
      await this.page.keyboard.press('Tab')
      const now = await this.page.evaluate(step)
      if (now.out) break
      if (!now.shown) fail(`${where}: the focus cannot be seen on ${now.what}`)
    }
    const left = await this.page.evaluate(() => [...window.__left].map((one) => one.outerHTML.slice(0, 120)))
    if (left.length > 0) fail(`${where}: the Tab key does not reach ${left.join('; ')}`)
  }

  /** Nothing went wrong so far. */
  quiet(where) {
    if (this.troubles.length > 0) fail(`${where}: ${this.troubles.splice(0).join('; ')}`)
  }
}

function origin(url) {
  try {
    return new URL(url).origin
  } catch {
    return ''
  }
}

/** A program on the path. */
function which(name) {
  const places = (process.env.PATH ?? '').split(':').map((dir) => join(dir, name))
  return places.find((path) => existsSync(path)) ?? name
}

/** A browser, with an empty directory for pictures. */
export async function launch() {
  rmSync(screens, { recursive: true, force: true })
  mkdirSync(screens, { recursive: true })
  return puppeteer.launch({
    executablePath: which(process.env.P2PDS_CHROMIUM ?? 'chromium'),
    headless: true,
    args: [
      '--no-sandbox', '--disable-background-networking', '--disable-component-update', '--disable-sync', '--no-first-run',
      '--disable-default-apps', '--metrics-recording-only', '--disable-dev-shm-usage', `--host-resolver-rules=${NAMES}`,
    ],
  })
}

/** Somebody new, with an empty profile. */
export async function meet(browser, name, base) {
  const context = await browser.createBrowserContext()
  const visitor = new Visitor(name, await context.newPage(), base)
  await visitor.page.setViewport(DESK)
  return visitor
}
