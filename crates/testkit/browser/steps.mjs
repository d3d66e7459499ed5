// The steps, in order. Each is a name and what is done; all share one demo, and what one step found out is in `state`.

import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

import { manySteps } from './many.mjs'
import { memberSteps } from './member.mjs'
import { operatorSteps } from './operator.mjs'
import { FORM, ask, button, p2pds, person } from './tools.mjs'

/** Waits until a command of the demo's node says this. */
async function until(demo, args, wanted) {
  for (let tries = 0; tries < 300; tries++) {
    try {
      if (p2pds(demo, ...args).includes(wanted)) return
    } catch {
      // Not yet.
    }
    await new Promise((done) => setTimeout(done, 200))
  }
  throw new Error(`p2pds ${args.join(' ')} does not say ${wanted}`)
}

/** Waits for the end of work that a page shows. */
async function worked(visitor) {
  await visitor.page.waitForFunction(() => document.readyState === 'complete' && !document.querySelector('[data-live]'))
  await visitor.sees('.notice.good')
}

/** From a page's button through the consent at the account's host, and back to what comes then. */
async function consents(visitor, from, who, name, then) {
  await visitor.push(button(from))
  await visitor.sees('form[action="/oauth/authorize"]')
  if (await visitor.page.$('form[action="/oauth/authorize"] #password')) {
    await visitor.write('#password', who.password)
    await visitor.press(FORM)
  }
  await visitor.sees('fieldset')
  await visitor.look(name)
  await visitor.push(FORM)
  await visitor.sees(then)
}

function origin(url) {
  return new URL(url).origin
}

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
    await worked(owner)
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
    await owner.sees('form[action="/oauth/authorize"] #password')
    if (owner.origin !== alice.host) fail(`the password is asked for at ${owner.origin}`)
    await owner.look('authorize-sign-in')
    owner.expected.push('401', '400')
    await owner.write('#password', 'not-the-password')
    await owner.press(FORM)
    await owner.sees('[role=alert]')
    await owner.look('authorize-wrong-password')
    owner.expected.length = 0
    await owner.write('#password', alice.password)
    await owner.press(FORM)
    await owner.sees('fieldset')
    await owner.look('consent')
    await owner.push(FORM)
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

  ['an archived account: its pages', async ({ demo, visitor }) => {
    const owner = await visitor('owner')
    const { did } = person(demo, 'alice')
    for (const page of ['', '/media', '/drills', '/time', '/identity', '/export', '/remove']) {
      await owner.go(`/archive/${did}${page}`)
      await owner.look(`archive${page.replace('/', '-')}`)
    }
    await owner.go('/lexicons')
    await owner.look('lexicons')
    await owner.write('#prefix', 'app.bsky.feed')
    await owner.press('form[action="/lexicons"] button[type=submit]')
    await owner.says('app.bsky.feed.like')
  }],

  ['what everybody may see', async ({ visitor }) => {
    const stranger = await visitor('stranger')
    for (const page of ['privacy', 'remove-me']) {
      await stranger.go(`/${page}`)
      await stranger.look(page)
    }
  }],

  ['for whoever runs the node', async ({ visitor, fail }) => {
    const owner = await visitor('owner')
    await owner.go('/operator')
    await owner.look('operator')
    const pages = await owner.page.$$eval('main a[href^="/operator/"]', (links) => links.map((link) => link.getAttribute('href')))
    const plain = [...new Set(pages.map((path) => path.split(/[?#]/)[0]))]
    if (plain.length < 3) fail(`the operator's page leads to ${plain}`)
    for (const path of plain) {
      await owner.go(path)
      await owner.look(path.slice(1).replaceAll('/', '-'))
    }
  }],

  ['drill', async ({ demo, visitor }) => {
    const owner = await visitor('owner')
    const { did } = person(demo, 'alice')
    await owner.go(`/archive/${did}/drills`)
    await owner.press(button(`/archive/${did}/drill`))
    await worked(owner)
    await owner.go(`/archive/${did}/drills`)
    await owner.sees('svg')
    await owner.look('drills-done')
  }],

  ['time machine: what was edited and deleted', async ({ demo, visitor, state, fail }) => {
    const owner = await visitor('owner')
    const { did, host, handle, password } = person(demo, 'alice')
    const { accessJwt } = await ask(host, 'com.atproto.server.createSession', null, { identifier: handle, password })
    const [collection, EDITED, DELETED] = ['app.bsky.feed.post', '3zaaaaaaaaa2a', '3zaaaaaaaab2a']
    const post = (text) => ({ $type: collection, text, createdAt: new Date().toISOString() })
    const put = (rkey, text) => ask(host, 'com.atproto.repo.putRecord', accessJwt, { repo: did, collection, rkey, record: post(text) })
    await put(EDITED, 'the first words')
    await put(DELETED, 'words that go away')
    await until(demo, ['show', `at://${did}/${collection}/${DELETED}`], 'words that go away')
    state.before = new Date().toISOString()
    await new Promise((done) => setTimeout(done, 1_100))
    await ask(host, 'com.atproto.repo.deleteRecord', accessJwt, { repo: did, collection, rkey: DELETED })
    // What an account does arrives in its order.
    await put(EDITED, 'the second words')
    await until(demo, ['show', `at://${did}/${collection}/${EDITED}`], 'the second words')
    await owner.go(`/archive/${did}/time?at=${encodeURIComponent(state.before)}&collection=${collection}`)
    await owner.says('words that go away')
    await owner.look('time-then')
    await owner.go(`/archive/${did}/time`)
    await owner.write('#from', state.before)
    await owner.press(`form[action="/archive/${did}/compare"] button[type=submit]`)
    await owner.says('the second words')
    const text = await owner.text()
    for (const words of ['the first words', 'words that go away']) if (!text.includes(words)) fail(`no ${words} in:\n${text}`)
    await owner.look('compare')
    // Two points in the past: between them nothing happened.
    await owner.go(`/archive/${did}/time`)
    const second = new Date(Date.parse(state.before) + 1_000).toISOString()
    await owner.write('#from', state.before)
    await owner.write('#to', second)
    await owner.press(`form[action="/archive/${did}/compare"] button[type=submit]`)
    await owner.says('Nothing differs.')
    await owner.look('compare-two-dates')
  }],

  ['a deleted record as it was, and back at its host with consent', async ({ demo, visitor, state, fail }) => {
    const owner = await visitor('owner')
    const alice = person(demo, 'alice')
    await owner.go(`/archive/${alice.did}/compare?from=${encodeURIComponent(state.before)}&to=now`)
    const gone = await owner.page.$$eval('a[href*="/record?"]', (links) => links.map((link) => link.href))
    const deleted = gone.find((href) => href.includes('3zaaaaaaaab2a'))
    if (!deleted) fail(`the comparison leads to ${gone}`)
    await owner.go(deleted)
    await owner.says('words that go away')
    await owner.look('record-deleted')
    const restore = `/archive/${alice.did}/restore`
    await consents(owner, `/archive/${alice.did}/consent`, alice, 'consent-record', `form[action="${restore}"]:not(:has(#password))`)
    await owner.press(button(restore))
    await worked(owner)
    await owner.look('record-restored')
    const query = new URLSearchParams({ repo: alice.did, collection: 'app.bsky.feed.post', rkey: '3zaaaaaaaab2a' })
    const there = await fetch(`http://127.0.0.1:${new URL(alice.host).port}/xrpc/com.atproto.repo.getRecord?${query}`)
    const { value } = await there.json()
    if (value?.text !== 'words that go away') fail(`its host has ${JSON.stringify(value)}`)
  }],

  ['a rotation key of one\'s own: consent, the code that is mailed, the operation', async ({ demo, visitor, fail }) => {
    const owner = await visitor('owner')
    const alice = person(demo, 'alice')
    const page = `/archive/${alice.did}/identity/key`
    const keys = async () => (await (await fetch(`${demo.desk}/${alice.did}/data`)).json()).rotationKeys
    const before = await keys()
    await owner.go(page)
    await owner.look('identity-key')
    await owner.press('button[name=make]')
    await owner.sees('.code-words')
    await owner.look('identity-key-once')
    await owner.tick('input[name=written]')
    await owner.press(button(`${page}/written`))
    await owner.look('identity-key-ask')
    await consents(owner, `/archive/${alice.did}/consent`, alice, 'consent-identity', `form[action="${page}/ask"]`)
    await owner.press(button(`${page}/ask`))
    await owner.sees('#token')
    await owner.look('identity-key-token')
    const mails = await (await fetch(`${demo.desk}/mail`)).json()
    const code = mails.map(({ text }) => text.match(/^ {4}(\S+)$/m)?.[1]).find(Boolean)
    if (!code) fail(`no code in ${JSON.stringify(mails)}`)
    await owner.write('#token', code)
    await owner.press(button(`${page}/sign`))
    await owner.look('identity-key-signed')
    await owner.press(button(`${page}/submit`))
    const after = await keys()
    if (after.length !== before.length + 1 || before.includes(after[0])) fail(`the keys are ${after}, and were ${before}`)
    await owner.go(`/archive/${alice.did}/identity`)
    await owner.look('identity-own-key')
  }],

  ['export, and what is downloaded', async ({ demo, visitor, fail }) => {
    const owner = await visitor('owner')
    const { did } = person(demo, 'alice')
    await owner.go(`/archive/${did}/export`)
    await owner.press(button(`/archive/${did}/export`))
    await worked(owner)
    await owner.go(`/archive/${did}/export`)
    await owner.look('export-ready')
    const car = await owner.page.evaluate(async (path) => {
      const reply = await fetch(path)
      return [reply.status, reply.headers.get('content-type'), (await reply.arrayBuffer()).byteLength]
    }, `/archive/${did}/repo.car`)
    if (car[0] !== 200 || car[1] !== 'application/vnd.ipld.car' || car[2] < 10_000) fail(`the download is ${car}`)
  }],

  ['promote: an account whose host is gone moves here', async ({ demo, visitor }) => {
    const [owner, stranger] = [await visitor('owner'), await visitor('stranger')]
    const erin = person(demo, 'erin')
    await owner.go('/add')
    await owner.write('#accounts', erin.handle)
    await owner.press(button('/add'))
    await worked(owner)
    await stranger.go(demo.desk)
    await stranger.press('form[action="/hosts/south/gone"] button')
    await stranger.says('is gone')
    await owner.go(`/archive/${erin.did}/promote`)
    await owner.look('promote')
    await owner.push('details summary')
    await owner.write('#handle', 'erin.home.test')
    await owner.press('form[method=get] button[type=submit]')
    await owner.says('erin.home.test')
    await owner.choose('#key-file', erin.rotationKeyFile)
    await owner.write('#confirm', erin.handle)
    await owner.press(button(`/archive/${erin.did}/promote`))
    await worked(owner)
    await owner.look('promoted')
    const document = await (await fetch(`${demo.desk}/${erin.did}`)).json()
    if (!JSON.stringify(document).includes('erin.home.test')) throw new Error(JSON.stringify(document))
    await stranger.press('form[action="/hosts/south/back"] button')
  }],

  ...manySteps,

  ...operatorSteps,

  ['sign up, a passkey, sign in with it, deactivate', async ({ demo, visitor, fail }) => {
    const member = await visitor('member')
    // Passkeys need a name, not a number: at a host of the demo.
    member.base = person(demo, 'alice').host
    const devtools = await member.page.createCDPSession()
    await devtools.send('WebAuthn.enable')
    await devtools.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2', transport: 'internal', hasResidentKey: true, hasUserVerification: true,
        isUserVerified: true, automaticPresenceSimulation: true,
      },
    })
    await member.go('/account')
    await member.look('account-sign-in')
    await member.go('/account/forgot')
    await member.look('account-forgot')
    await member.go('/account/sign-up')
    await member.look('sign-up')
    await member.write('#handle', 'frida')
    await member.write('#email', 'frida@mail.test')
    await member.write('#password', 'frida-in-the-browser')
    await member.press(button('/account/sign-up'))
    await member.says('frida.north.test')
    await member.look('account')
    const own = member.page.url()
    // A passkey beside the password.
    await member.write('#passkey-add-name', 'the one of the tests')
    await member.write('#passkey-add-password', 'frida-in-the-browser')
    await member.press('form[data-passkey=create] button[type=submit]')
    await member.says('the one of the tests')
    await member.look('account-passkey')
    if (!own.includes('/account/did:')) fail(`the account is at ${own}`)
    // From another browser profile there is nothing but the password, and then the passkey.
    await member.page.deleteCookie(...(await member.page.cookies()))
    await member.go('/account')
    await member.press('form[data-passkey=get] button[type=submit]')
    await member.says('frida.north.test')
    // Deactivation, and back.
    await member.go(own)
    const press = async (what) => {
      const form = `form:has(input[name=do][value=${what}])`
      await member.press(`${form} button[type=submit]`)
    }
    await member.write('#deactivate-password', 'frida-in-the-browser')
    await press('deactivate')
    await member.sees('form:has(input[name=do][value=activate])')
    await member.look('account-deactivated')
    await press('activate')
    await member.sees('form:has(input[name=do][value=deactivate])')
  }],

  ...memberSteps,

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
