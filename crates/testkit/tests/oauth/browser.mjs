// A web application in Chromium signs in at a host: `node browser.mjs` with host, directory, handle, DID and password as JSON
// in P2PDS_WORLD. One line for each step on standard output. The application is `page.js`, put together as applications are;
// what is done with it is done from the keyboard.

import { createServer } from 'node:http'
import { createRequire } from 'node:module'
import { join } from 'node:path'

import { Visitor, fail, launch } from '../../browser/visitor.mjs'

const world = JSON.parse(process.env.P2PDS_WORLD)
const npm = process.env.P2PDS_NPM
const esbuild = createRequire(join(npm, 'package.json'))('esbuild')
const scope = 'atproto repo:com.example.thing blob:image/*'

const built = await esbuild.build({
  entryPoints: [join(import.meta.dirname, 'page.js')], nodePaths: [join(npm, 'node_modules')],
  bundle: true, write: false, format: 'esm', logLevel: 'error',
})
const { host, directory, handle } = world
const files = {
  '/': ['text/html; charset=utf-8', `<!doctype html><html lang="en"><title>An application</title><link rel="icon" href="data:,">
    <script type="module" src="/page.js"></script><button id="sign-in">Sign in</button><button id="popup">In a window</button>
    <output></output></html>`],
  '/page.js': ['text/javascript', built.outputFiles[0].contents],
  '/settings.json': ['application/json', JSON.stringify({ host, directory, handle, scope })],
}
const server = createServer((asked, reply) => {
  const file = files[new URL(asked.url, 'http://127.0.0.1').pathname]
  reply.writeHead(file ? 200 : 404, { 'content-type': file?.[0] ?? 'text/plain' }).end(file?.[1] ?? '')
})
await new Promise((done) => server.listen(0, '127.0.0.1', done))
const own = `http://127.0.0.1:${server.address().port}`
const ACCEPT = 'form[action="/oauth/authorize"] button[type=submit]:not(.quiet)'
const REFUSE = 'form[action="/oauth/authorize"] button.quiet'

/** Somebody whose applications talk to hosts and directories, and to nobody else. */
class User extends Visitor {
  watch(request) {
    const url = new URL(request.url())
    const known = [own, host, directory].map((known) => new URL(known).origin)
    if (!['data:', 'blob:', 'about:'].includes(url.protocol) && !known.includes(url.origin)) this.trouble(`a request to ${url}`)
  }

  /** What the application says once it is loaded, or once it says it after that. */
  async told(expected) {
    const says = (expected) => {
      const said = document.querySelector('output')?.textContent
      return said && Object.entries(expected).every(([name, value]) => JSON.parse(said)[name] === value)
    }
    try {
      await this.page.waitForFunction(says, { polling: 50 }, expected)
    } catch {
      fail(`the application does not say ${JSON.stringify(expected)}; at ${this.page.url()}:\n${await this.text()}`)
    }
  }

  /** Has the application do something, and compares what comes of it. */
  async does(expected, name, ...args) {
    const found = await this.page.evaluate((name, args) => window.app[name](...args), name, args)
    for (const [key, value] of Object.entries(expected)) {
      if (JSON.stringify(found[key]) !== JSON.stringify(value)) fail(`${name}(${args}) gives ${JSON.stringify(found)}`)
    }
    return found
  }
}

const browser = await launch()
const context = await browser.createBrowserContext()
const user = new User('user', await context.newPage(), own)
// Nonces that are not known yet, tokens that are over, and what is out of bounds: the browser notes each such answer.
user.expected.push('status of 400', 'status of 401', 'status of 403')
const fine = { status: 200, error: null }
const PNG = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0x0d, 0x49, 0x48, 0x44, 0x52]

/** At the host, where nobody is signed in yet. */
async function password() {
  await user.sees('form[action="/oauth/authorize"] #password')
  if (user.origin !== host) fail(`the password is asked for at ${user.origin}`)
  await user.write('#password', world.password)
  await user.press(ACCEPT)
}

const steps = [
  ['nobody is signed in', async () => {
    await user.go('/')
    await user.told({ did: null, state: null, error: null })
  }],
  ['somebody signs in', async () => {
    await user.push('#sign-in')
    await password()
    await user.says('com.example.thing')
    await user.push(ACCEPT)
    await user.told({ did: world.did, state: 'a state of the application' })
    if (user.origin !== own || user.page.url().includes('code=')) fail(`it ends at ${user.page.url()}`)
  }],
  ['it writes within its scope', async () => {
    await user.does(fine, 'write', 'com.example.thing')
    await user.does(fine, 'upload', 'image/png', PNG)
    await user.does(fine, 'read')
  }],
  ['it is refused outside of it', async () => {
    await user.does({ status: 403, error: 'ScopeMissingError' }, 'write', 'com.example.other')
    await user.does({ status: 403, error: 'ScopeMissingError' }, 'upload', 'text/plain', [0x61])
  }],
  ['it refreshes', async () => {
    await user.does({ renewed: true, scope }, 'refresh')
    await user.does(fine, 'write', 'com.example.thing')
  }],
  ['it is still signed in when it is loaded again', async () => {
    await user.go('/')
    await user.told({ did: world.did, error: null })
    await user.does(fine, 'write', 'com.example.thing')
  }],
  ['it sees what it needs of an answer', async () => {
    const { nonce, challenge } = await user.does({ status: 401 }, 'seen')
    if (!nonce || !challenge?.startsWith('DPoP ')) fail(`it sees the nonce ${nonce} and the challenge ${challenge}`)
  }],
  ['it signs out, and its tokens are over', async () => {
    await user.does({ access: { status: 401, error: 'invalid_token' }, refresh: 'invalid_grant' }, 'signOut')
    await user.go('/')
    await user.told({ did: null, error: null })
  }],
  ['somebody refuses', async () => {
    await user.push('#sign-in')
    await user.sees('fieldset')
    await user.push(REFUSE)
    await user.told({ did: null, error: 'access_denied' })
  }],
  ['somebody signs in in a window of its own', async () => {
    await user.go('/')
    await user.told({ did: null, error: null })
    const opened = new Promise((done) => user.page.once('popup', done))
    await user.push('#popup')
    const popup = new User('popup', await opened, own)
    popup.expected = user.expected
    await popup.sees('fieldset')
    // It may be gone before the key is up.
    await popup.push(ACCEPT).catch(() => {})
    await user.page.bringToFront()
    await user.told({ did: world.did, by: 'popup' })
    popup.quiet('in the window')
    await user.does(fine, 'write', 'com.example.thing')
  }],
]

let status = 0
for (const [name, step] of steps) {
  try {
    await step()
    user.quiet(name)
    console.log(`ok ${name}`)
  } catch (error) {
    console.log(`FAILED ${name}: ${error.stack ?? error}`)
    for (const trouble of user.troubles) console.log(`  ${trouble}`)
    status = 1
    break
  }
}
await browser.close()
process.exit(status)
