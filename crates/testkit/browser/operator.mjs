// Steps of whoever runs the demo's node: invites, moderation, reports, waiting mail, the doctor.

import { button, call, doing, p2pds, person } from './tools.mjs'

const form = (what, more) => `${doing(what, more)} button[type=submit]`

/** The code of the invite in the list. */
const listed = (operator) => operator.page.$$eval('tbody th code', (all) => all.map((one) => one.textContent.trim()))

/** Where the newest mail for somebody is read, on the list that waits for it. */
async function letterFor(operator, to) {
  for (let tries = 0; tries < 300; tries++) {
    await operator.go('/operator/mail')
    const letters = await operator.page.$$eval('tbody th a', (all) => all.map((one) => [one.textContent, one.getAttribute('href')]))
    const found = letters.find(([who]) => who.includes(to))
    if (found) return found[1]
    await new Promise((done) => setTimeout(done, 100))
  }
  throw new Error(`no mail waits for ${to}`)
}

export const operatorSteps = [
  ['invites are made and switched off', async ({ visitor, fail }) => {
    const operator = await visitor('owner')
    await operator.go('/operator/invites')
    await operator.press(form('invite-create'))
    await operator.sees('.code-words')
    await operator.look('operator-invite-made')
    const code = await operator.page.$eval('.code-words', (one) => one.textContent.trim())
    await operator.go('/operator/invites')
    if (!(await listed(operator)).includes(code)) fail(`${code} is not in the list`)
    await operator.press(form('invite-disable', `:has(input[name=code][value="${code}"])`))
    if (await operator.page.$(doing('invite-disable', `:has(input[name=code][value="${code}"])`))) fail(`${code} is still on`)
    await operator.look('operator-invites-off')
  }],

  ['an account and a record are taken down and given back', async ({ demo, visitor, fail }) => {
    const operator = await visitor('owner')
    const { did } = person(demo, 'erin')
    const status = () => call(demo.node, `com.atproto.sync.getRepoStatus?did=${did}`)
    const before = await status()
    if (before.json?.active !== true) fail(`before: ${before.status} ${before.text}`)
    const card = `details.card:has(input[name=subject][value="${did}"])`
    const subject = `:has(input[name=subject][value="${did}"])`
    await operator.go('/operator/accounts')
    await operator.push(`${card} > summary`)
    await operator.look('operator-account')
    await operator.write(`${card} input[name=reference]`, 'case-7')
    await operator.press(form('take-down', subject))
    const down = await status()
    if (down.json?.active !== false || down.json?.status !== 'takendown') fail(`taken down: ${down.status} ${down.text}`)
    await operator.says('taken down')
    await operator.push(`${card} > summary`)
    await operator.says('case-7')
    await operator.look('operator-account-down')
    await operator.press(form('show-again', subject))
    const back = await status()
    if (back.json?.active !== true) fail(`given back: ${back.status} ${back.text}`)
    const page = await call(demo.node, `com.atproto.repo.listRecords?repo=${did}&collection=app.bsky.feed.post&limit=1`)
    const { uri } = page.json.records[0]
    const [collection, rkey] = uri.split('/').slice(3)
    const record = () => call(demo.node, `com.atproto.repo.getRecord?repo=${did}&collection=${collection}&rkey=${rkey}`)
    await operator.write('#subject', uri)
    await operator.press(form('take-down', ':has(#subject)'))
    const gone = await record()
    if (gone.status !== 400) fail(`a record that was taken down is answered ${gone.status}`)
    await operator.write('#subject-again', uri)
    await operator.press(form('show-again', ':has(#subject-again)'))
    const again = await record()
    if (again.status !== 200) fail(`a record that was given back is answered ${again.status}`)
    await operator.go('/operator/audit')
    await operator.says('case-7')
    await operator.look('operator-audit-done')
  }],

  ['a stranger asks for removal; the operator hides the account, and closes the report', async ({ demo, visitor, fail }) => {
    const [operator, stranger] = [await visitor('owner'), await visitor('stranger')]
    const { did, handle } = person(demo, 'chiara')
    p2pds(demo, 'archive', 'serve', did, 'public', '--basis', 'she said so at lunch')
    const shown = () => call(demo.node, `com.atproto.sync.getLatestCommit?did=${did}`)
    const before = await shown()
    if (before.status !== 200) fail(`before: ${before.status} ${before.text}`)
    // A slip first: what was typed stays.
    stranger.expected.push('400 (Bad Request)')
    await stranger.go('/remove-me')
    await stranger.write('#account', 'somebody')
    await stranger.write('#words', 'I did not say so.')
    await stranger.write('#answer', 'chiara@mail.test')
    await stranger.press(button('/remove-me'))
    await stranger.sees('[role=alert]')
    await stranger.look('remove-me-refused')
    stranger.expected.pop()
    await stranger.write('#account', `@${handle}`)
    await stranger.press(button('/remove-me'))
    await stranger.sees('[role=status]')
    await stranger.look('remove-me-sent')
    // No stranger reads what others wrote.
    await stranger.go('/operator/reports')
    if (stranger.path !== '/sign-in') fail(`a stranger got to ${stranger.path}`)

    await operator.go('/operator')
    await operator.press('nav a[href="/operator/reports"]')
    for (const words of ['I did not say so.', 'chiara@mail.test', handle]) await operator.says(words)
    await operator.look('operator-report')
    await operator.press(form('report-hide'))
    if (await operator.page.$(doing('report-hide'))) fail('it is offered again to show it to nobody')
    const hidden = await shown()
    if (hidden.status !== 400) fail(`shown to nobody: ${hidden.status} ${hidden.text}`)
    await operator.write(`${doing('report-close')} input[name=note]`, 'hidden, and told her')
    await operator.press(form('report-close'))
    await operator.says('No reports wait.')
    if (await operator.page.$(doing('report-close'))) fail('the report is still open')
    await operator.push('details.card > summary')
    await operator.says('hidden, and told her')
    await operator.look('operator-report-closed')
    await operator.go('/operator/audit')
    await operator.says(did)
  }],

  ['an account that the operator makes, and the mail that waits for it', async ({ visitor, fail }) => {
    const [operator, stranger] = [await visitor('owner'), await visitor('stranger')]
    await operator.go('/operator/accounts')
    await operator.write('#handle', 'hugo.home.test')
    await operator.write('#new-email', 'hugo@mail.test')
    await operator.press(form('account-create'))
    await operator.sees('.code-words')
    await operator.look('operator-account-made')
    await stranger.go('/account/forgot')
    await stranger.write('#email', 'hugo@mail.test')
    await stranger.press('form[action="/account/forgot"] button[type=submit]')
    await stranger.look('account-forgot-sent')
    // The address is looked up after the answer.
    const href = await letterFor(operator, 'hugo@mail.test')
    await operator.press(`a[href="${href}"]`)
    await operator.sees('pre')
    await operator.look('operator-letter')
    const text = await operator.page.$eval('main pre', (one) => one.textContent)
    const code = text.match(/^ {4}(\S+)$/m)?.[1] ?? fail(`no code in ${text}`)
    stranger.expected.push('400 (Bad Request)')
    await stranger.write('#code', 'AAAAA-AAAAA')
    await stranger.write('#password', 'hugo-in-the-browser')
    await stranger.press('form[action="/account/reset"] button[type=submit]')
    await stranger.sees('[role=alert]')
    await stranger.look('account-reset-refused')
    stranger.expected.pop()
    await stranger.write('#code', code)
    await stranger.write('#password', 'hugo-in-the-browser')
    await stranger.press('form[action="/account/reset"] button[type=submit]')
    await stranger.says('The password was changed.')
  }],

  ['the doctor looks, also outside', async ({ visitor, fail }) => {
    const operator = await visitor('owner')
    await operator.go('/operator/doctor')
    const found = await operator.page.$$eval('.lights > li', (all) => all.length)
    if (found < 3) fail(`the doctor looked at ${found} things`)
    await operator.press('a[href="/operator/doctor?network=1"]')
    const outside = await operator.page.$$eval('.lights > li', (all) => all.length)
    if (outside < found) fail(`with the network the doctor looked at ${outside} things, without it at ${found}`)
    await operator.look('operator-doctor-network')
  }],
]
