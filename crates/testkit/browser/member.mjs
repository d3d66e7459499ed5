// Steps of somebody whose account is hosted in the demo: an application with less than it asked for, app passwords, a
// second factor, another address, another name.

import { App } from './app.mjs'
import { FORM, ask, button, call, doing, mailed, person, totp } from './tools.mjs'

const PASSWORD = 'gerda-in-the-browser'
const ADDRESS = 'gerda@mail.test'
const POST = 'app.bsky.feed.post'
const LIKE = 'app.bsky.feed.like'

const press = (member, what, more) => member.press(`${doing(what, more)} button[type=submit]`)

/** Opens what is folded up around a field. */
async function unfold(member, field) {
  const summary = `details:not([open]):has(${field}) > summary`
  if (await member.page.$(summary)) await member.push(summary)
}

/** From another browser: nothing is known of anybody. */
async function forgotten(member) {
  await member.page.deleteCookie(...(await member.page.cookies()))
  await member.go('/account')
}

async function signIn(member, address = ADDRESS) {
  await member.write('#identifier', address)
  await member.write('#password', PASSWORD)
  await member.press('form[action="/account"]:has(#identifier) button[type=submit]')
}

async function withCode(member, code) {
  await member.write('#code', code)
  await member.press('form[action="/account"]:has(#code) button[type=submit]')
}

export const memberSteps = [
  ['an application is refused what was unticked', async ({ demo, visitor, state, fail }) => {
    const member = await visitor('gerda')
    const { host } = person(demo, 'alice')
    member.base = host
    await member.go('/account/sign-up')
    await member.write('#handle', 'gerda')
    await member.write('#email', ADDRESS)
    await member.write('#password', PASSWORD)
    await member.press(button('/account/sign-up'))
    await member.says('gerda.north.test')
    state.gerda = { own: member.page.url(), host, codes: new Set() }
    const did = decodeURIComponent(member.path.split('/').pop())
    const app = new App(host, `atproto repo:${POST} repo:${LIKE}`)
    await member.go(await app.begin('gerda.north.test'))
    await member.sees('fieldset')
    await member.tick(`input[name=scope][value="repo:${LIKE}"]`, false)
    await member.look('consent-less')
    await member.push(FORM)
    await member.says('Back in the app')
    const granted = await app.granted()
    if (!granted.includes(`repo:${POST}`) || granted.includes(`repo:${LIKE}`)) fail(`granted was ${granted}`)
    const write = (collection) => app.call('com.atproto.repo.createRecord', {
      repo: did, collection, validate: false, record: { $type: collection, text: 'by an app', createdAt: new Date().toISOString() },
    })
    const written = await write(POST)
    if (written.status !== 200) fail(`what was granted is answered ${written.status} ${written.text}`)
    const refused = await write(LIKE)
    if (refused.status !== 403 || refused.json?.error !== 'ScopeMissingError') fail(`what was not: ${refused.status} ${refused.text}`)
    await member.go(state.gerda.own)
    await member.says(`repo:${POST}`)
    await member.look('account-apps')
    await press(member, 'grant-remove')
    await member.says('That application cannot act for this account any more.')
    const after = await write(POST)
    if (after.status !== 401) fail(`after its end the app is answered ${after.status} ${after.text}`)
  }],

  ['an app password is made, used and made void', async ({ visitor, state, fail }) => {
    const member = await visitor('gerda')
    await member.go(state.gerda.own)
    // A browser that is signed in is not enough: the password is asked for, and it has to be the right one.
    member.expected.push('400 (Bad Request)')
    await member.write('#app-add-name', 'an old app')
    await member.write('#app-add-password', 'not-the-password')
    await press(member, 'app-add')
    await member.sees('[role=alert]')
    member.expected.pop()
    await member.write('#app-add-name', 'an old app')
    await member.write('#app-add-password', PASSWORD)
    await press(member, 'app-add')
    await member.sees('.code-words')
    await member.look('account-app-password')
    const password = await member.page.$eval('.code-words', (one) => one.textContent.trim())
    const login = { identifier: 'gerda.north.test', password }
    await ask(state.gerda.host, 'com.atproto.server.createSession', null, login)
    await member.go(state.gerda.own)
    if ((await member.text()).includes(password)) fail('an app password is shown twice')
    await press(member, 'app-remove')
    await member.says('The app password is void.')
    const refused = await call(state.gerda.host, 'com.atproto.server.createSession', null, login)
    if (refused.status !== 401) fail(`a void app password is answered ${refused.status}`)
  }],

  ['another address, with the codes that are mailed; another handle', async ({ demo, visitor, state, fail }) => {
    const member = await visitor('gerda')
    const { own, codes, host } = state.gerda
    await member.go(own)
    await press(member, 'email-confirm-send')
    await member.says('A code was sent by e-mail.')
    const code = await mailed(demo, ADDRESS, codes)
    // A wrong one changes nothing, and says so.
    member.expected.push('400 (Bad Request)')
    await member.write('#email-confirm-code', 'AAAAA-AAAAA')
    await press(member, 'email-confirm')
    await member.sees('[role=alert]')
    await member.look('account-code-wrong')
    member.expected.pop()
    await member.write('#email-confirm-code', code)
    await press(member, 'email-confirm')
    await member.says('The address is confirmed.')
    await unfold(member, '#email-change-email')
    await press(member, 'email-send')
    const change = await mailed(demo, ADDRESS, codes)
    await unfold(member, '#email-change-email')
    await member.write('#email-change-email', 'gerda@other.test')
    await member.write('#email-change-code', change)
    await member.write('#email-change-password', PASSWORD)
    await press(member, 'email-change')
    // Whoever held a session holds none any more.
    await member.says('The address was changed')
    if (member.path !== '/account') fail(`a change of the address leads to ${member.path}`)
    await member.go(own)
    if (member.path !== '/account') fail(`without a session the account's page leads to ${member.path}`)
    await signIn(member, 'gerda@other.test')
    await member.says('gerda@other.test')
    await member.look('account-address')
    // And back, so that the steps after this one know it. The new one is not confirmed: no code is asked for.
    await unfold(member, '#email-change-email')
    await member.write('#email-change-email', ADDRESS)
    await member.write('#email-change-password', PASSWORD)
    await press(member, 'email-change')
    await signIn(member)
    await member.says(ADDRESS)
    await member.write('#handle-handle', 'gerda-anew.north.test')
    await member.write('#handle-password', PASSWORD)
    await press(member, 'handle')
    await member.says('The handle was changed.')
    await member.look('account-handle')
    const { did } = await ask(host, 'com.atproto.identity.resolveHandle?handle=gerda-anew.north.test')
    if (!own.includes(did)) fail(`the new handle leads to ${did}`)
  }],

  ['an authenticator app is set up and asked for, and a backup code stands in for it', async ({ visitor, state, fail }) => {
    const member = await visitor('gerda')
    await member.go(state.gerda.own)
    await press(member, 'totp-begin')
    await member.sees('#totp-finish-code')
    await member.look('account-totp')
    const secret = await member.page.$eval('.code-words', (one) => one.textContent.trim())
    await member.write('#totp-finish-code', totp(secret))
    await member.write('#totp-finish-password', PASSWORD)
    await press(member, 'totp-finish')
    await member.says('Your backup codes.')
    await member.look('account-backup-codes')
    const backup = await member.page.$$eval('.codes code', (all) => all.map((one) => one.textContent.trim()))
    if (backup.length !== 10) fail(`there are ${backup.length} backup codes`)
    // The code of this half minute was taken at the set-up; the next one is good already.
    await forgotten(member)
    await signIn(member)
    await member.sees('#code')
    await member.look('account-factor')
    await withCode(member, totp(secret, 1))
    await member.says('gerda-anew.north.test')
    if (!member.path.startsWith('/account/did:')) fail(`a right code leads to ${member.path}`)
    await forgotten(member)
    await signIn(member)
    await withCode(member, '000000')
    await member.sees('[role=alert]')
    await signIn(member)
    await withCode(member, backup[0])
    await member.says('9 are left.')
    // It was good once.
    await forgotten(member)
    await signIn(member)
    await withCode(member, backup[0])
    await member.sees('[role=alert]')
    if (member.path !== '/account') fail(`a backup code that was used leads to ${member.path}`)
    await member.look('account-factor-refused')
  }],
]
