// The steps, in order. Each is a name and what is done; all share one demo, and what one step found out is in `state`.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** Somebody who lives in the demo, by the first label of the handle. */
function person(demo, name) {
  return demo.people.find((one) => one.handle.startsWith(`${name}.`))
}

/** A command of the demo's node. */
function p2pds(demo, ...args) {
  const env = { ...process.env, P2PDS_DATA_DIR: demo.data, NO_COLOR: '1' }
  return execFileSync(process.env.P2PDS_PROGRAM, args, { env, encoding: 'utf8' })
}

function origin(url) {
  return new URL(url).origin
}

const button = (action) => `form[action="${action}"] button[type=submit]`

export const steps = [
  ['the desk of the demo', async ({ demo, visitor }) => {
    const stranger = await visitor('stranger')
    await stranger.go(demo.desk)
    await stranger.says('alice.north.test')
    await stranger.look('desk')
  }],

  ['a stranger sees what this node is, and nothing else', async ({ visitor, fail }) => {
    const stranger = await visitor('stranger')
    await stranger.go('/')
    await stranger.look('stranger')
    await stranger.go('/about')
    await stranger.look('about')
    await stranger.go('/add')
    if (stranger.path !== '/sign-in') fail(`a stranger got to ${stranger.path}`)
    await stranger.look('sign-in-unclaimed')
  }],

  ['claim', async ({ demo, visitor, fail }) => {
    const owner = await visitor('owner')
    owner.expected.push('403 (Forbidden)')
    await owner.go('/claim')
    await owner.write('#code', 'AAAA-BBBB-CCCC-DDDD-EEEE-FFFF')
    await owner.press(button('/claim'))
    if (owner.path !== '/claim') fail(`a wrong code led to ${owner.path}`)
    await owner.look('claim-refused')
    owner.expected.pop()
    await owner.go(demo.claim)
    await owner.look('claim')
    await owner.press(button('/claim'))
  }],

  ['first run: from a handle to a verified copy', async ({ demo, visitor, state }) => {
    const owner = await visitor('owner')
    await owner.go('/add')
    await owner.look('first-run')
    await owner.write('#accounts', person(demo, 'alice').handle)
    const begun = performance.now()
    await owner.press(button('/add'))
    await owner.page.waitForFunction(() => !document.querySelector('[data-live]'))
    await owner.sees('.notice.good')
    state.first = (performance.now() - begun) / 1000
    console.log(`the first verified copy of a small account took ${state.first.toFixed(1)} s`)
    await owner.look('job-done')
    await owner.go('/')
    await owner.says('alice.north.test')
    await owner.look('home')
  }],

  ['German, and back', async ({ visitor, fail }) => {
    const owner = await visitor('owner')
    await owner.go('/?lang=de')
    const lang = await owner.page.evaluate(() => document.documentElement.lang)
    if (lang !== 'de') fail(`the page says it is in ${lang}`)
    await owner.look('home-de')
    await owner.go('/?lang=en')
  }],

  ['sign in with the account that one has: consent at its host', async ({ demo, visitor, state, fail }) => {
    const owner = await visitor('owner')
    const alice = person(demo, 'alice')
    await owner.go('/sign-in')
    await owner.look('sign-in')
    await owner.write('#who', alice.handle)
    await owner.push(button('/sign-in'))
    await owner.sees('#password')
    if (owner.origin !== alice.host) fail(`the password is asked for at ${owner.origin}`)
    await owner.look('authorize-sign-in')
    owner.expected.push('401', '400')
    await owner.write('#password', 'not-the-password')
    await owner.press('form[action="/oauth/authorize"] button[type=submit]:not(.quiet)')
    await owner.sees('[role=alert]')
    await owner.look('authorize-wrong-password')
    owner.expected.length = 0
    await owner.write('#password', alice.password)
    await owner.press('form[action="/oauth/authorize"] button[type=submit]:not(.quiet)')
    await owner.sees('fieldset')
    await owner.look('consent')
    await owner.push('form[action="/oauth/authorize"] button[type=submit]:not(.quiet)')
    await owner.sees('form[action="/sign-out"]')
    if (owner.origin !== origin(demo.node)) fail(`it ends at ${owner.page.url()}`)
    state.owner = true
    await owner.look('home-signed-in')
    // A stranger gets no further than before.
    const stranger = await visitor('stranger')
    await stranger.go('/add')
    if (stranger.path !== '/sign-in') fail(`a stranger got to ${stranger.path}`)
    await stranger.look('sign-in-owned')
  }],

  ['where one is signed in', async ({ visitor }) => {
    const owner = await visitor('owner')
    await owner.go('/sessions')
    await owner.look('sessions')
  }],

  ['the offline archive opens from disk, without a network', async ({ demo, visitor, fail }) => {
    const out = join(demo.dir, 'offline')
    p2pds(demo, 'export', person(demo, 'alice').handle, '--out', out, '--html')
    const reader = await visitor('reader')
    await reader.page.setOfflineMode(true)
    const at = (file) => pathToFileURL(join(out, file)).href
    await reader.go(at('index.html'))
    await reader.says('alice.north.test')
    // What is further down is loaded when somebody comes near it.
    const pictures = await reader.page.evaluate(async () => {
      const all = [...document.images]
      for (const one of all) one.loading = 'eager'
      await Promise.all(all.map((one) => one.decode().catch(() => {})))
      return all.map((one) => [one.src, one.naturalWidth])
    })
    if (pictures.length === 0) fail('the first page shows no picture')
    for (const [src, width] of pictures) if (width === 0) fail(`${src} is not shown`)
    await reader.look('offline')
    await reader.go(at('pages/search.html'))
    await reader.write('#words', 'train')
    await reader.push('#words')
    await reader.sees('#found li')
    await reader.look('offline-search')
    for (const page of ['collections', 'months', 'restore']) {
      await reader.go(at(`pages/${page}.html`))
      await reader.look(`offline-${page}`)
    }
  }],
]
