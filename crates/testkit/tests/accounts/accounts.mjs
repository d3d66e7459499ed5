// Accounts and sessions with @atproto/api as it comes, against one server; every answer is checked with the published
// lexicons. Prints what it saw as JSON.
// Usage: node accounts.mjs '{"service","admin","lexicons","name","recoveryKey"}'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { AtpAgent } from '@atproto/api'
import { Lexicons } from '@atproto/lexicon'

const given = JSON.parse(process.argv[2])
const seen = {}
const check = (fine, what) => {
  if (!fine) throw new Error(what)
}

const lexicons = new Lexicons()
const load = (dir) => {
  for (const name of readdirSync(dir)) {
    const path = join(dir, name)
    if (statSync(path).isDirectory()) load(path)
    else if (name.endsWith('.json')) lexicons.add(JSON.parse(readFileSync(path, 'utf8')))
  }
}
for (const family of ['com/atproto', 'app/bsky/actor', 'app/bsky/embed', 'app/bsky/feed', 'app/bsky/graph', 'app/bsky/labeler', 'app/bsky/notification', 'app/bsky/richtext', 'app/bsky/unspecced', 'app/bsky/draft', 'app/bsky/video', 'app/bsky/bookmark', 'app/bsky/ageassurance', 'app/bsky/contact'])
  try {
    load(join(given.lexicons, family))
  } catch (error) {
    if (error.code !== 'ENOENT' || family === 'com/atproto') throw error
  }

let checked = 0
const checking = async (input, init) => {
  const answer = await fetch(input, init)
  const nsid = new URL(answer.url).pathname.replace('/xrpc/', '')
  const body = await answer.clone().text()
  if (answer.status === 200 && lexicons.get(nsid)) {
    const def = lexicons.getDefOrThrow(nsid)
    if (def.output?.schema) {
      lexicons.assertValidXrpcOutput(nsid, JSON.parse(body))
      checked += 1
    } else check(body === '', `${nsid} answers ${body}`)
  } else if (answer.status !== 200) {
    const error = JSON.parse(body)
    check(typeof error.error === 'string' && typeof error.message === 'string' && error.message, `${nsid}: ${body}`)
  }
  return answer
}

const agent = () => new AtpAgent({ service: given.service, fetch: checking })
const name = async (work) => {
  try {
    await work
    return 'accepted'
  } catch (error) {
    return error.error ?? String(error)
  }
}
const call = async (method, nsid, { token, basic, body, params } = {}) => {
  const query = new URLSearchParams(params ?? {}).toString()
  const headers = {}
  if (token) headers.authorization = `Bearer ${token}`
  if (basic) headers.authorization = `Basic ${Buffer.from(`admin:${basic}`).toString('base64')}`
  if (body) headers['content-type'] = 'application/json'
  const answer = await checking(`${given.service}/xrpc/${nsid}${query ? `?${query}` : ''}`, {
    method,
    headers,
    body: body ? JSON.stringify(body) : undefined,
  })
  const text = await answer.text()
  return { status: answer.status, body: text ? JSON.parse(text) : null }
}
const admin = async (method, nsid, input) => {
  const answer = await call(method, `com.atproto.admin.${nsid}`, { basic: given.admin, ...input })
  return answer.status === 200 ? answer.body : answer.body.error
}

// Sign-up.
const alice = agent()
const server = (await alice.com.atproto.server.describeServer()).data
seen.domains = server.availableUserDomains
const email = `${given.name}@mail.test`
const handle = `${given.name}.test`
const password = 'a password of alice'
const made = await alice.createAccount({ handle, email, password, recoveryKey: given.recoveryKey })
const did = made.data.did
seen.did = did
check(made.data.didDoc?.id === did, 'no document with the session')
for (const [what, wrong] of Object.entries({
  handleTaken: { handle, email: `other-${email}`, password },
  emailTaken: { handle: `other-${handle}`, email: email.toUpperCase(), password },
  noEmail: { handle: `other-${handle}`, password },
  notAnAddress: { handle: `other-${handle}`, email: 'nobody', password },
  noPassword: { handle: `other-${handle}`, email: `other-${email}` },
  reserved: { handle: 'admin.test', email: `other-${email}`, password },
  elsewhere: { handle: 'alice.example.com', email: `other-${email}`, password },
  tooShort: { handle: 'al.test', email: `other-${email}`, password },
  anothersDid: { handle: `other-${handle}`, email: `other-${email}`, password, did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' },
  badKey: { handle: `other-${handle}`, email: `other-${email}`, password, recoveryKey: 'did:key:zNone' },
}))
  seen[what] = (await call('POST', 'com.atproto.server.createAccount', { body: wrong })).body.error

// Sessions.
const session = (await alice.com.atproto.server.getSession()).data
seen.session = { ...session, didDoc: undefined }
for (const identifier of [handle, did, email, email.toUpperCase()]) {
  const other = agent()
  await other.login({ identifier, password })
  check(other.session.did === did, identifier)
}
seen.wrongPassword = await name(agent().login({ identifier: handle, password: 'wrong password' }))
seen.unknown = await name(agent().login({ identifier: 'nobody.test', password }))
seen.secondFactor = await name(agent().login({ identifier: handle, password, authFactorToken: '12345' }))

const login = (await call('POST', 'com.atproto.server.createSession', { body: { identifier: did, password } })).body
const refresh = (token) => call('POST', 'com.atproto.server.refreshSession', { token })
const race = await Promise.all(Array.from({ length: 8 }, () => refresh(login.refreshJwt)))
const jti = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url')).jti
seen.race = {
  statuses: [...new Set(race.map((one) => one.status))],
  successors: new Set(race.map((one) => jti(one.body.refreshJwt))).size,
}
const claims = JSON.parse(Buffer.from(login.accessJwt.split('.')[1], 'base64url'))
seen.accessSeconds = claims.exp - claims.iat
seen.refreshAsAccess = (await call('GET', 'com.atproto.server.getSession', { token: login.refreshJwt })).body.error
seen.accessAsRefresh = (await refresh(login.accessJwt)).body.error
check((await call('POST', 'com.atproto.server.deleteSession', { token: race[0].body.refreshJwt })).status === 200, 'logout')
seen.afterLogout = [
  (await refresh(race[0].body.refreshJwt)).body.error,
  (await call('GET', 'com.atproto.server.getSession', { token: login.accessJwt })).body.error,
]

// App passwords.
const plain = (await alice.com.atproto.server.createAppPassword({ name: 'plain' })).data
const chats = (await alice.com.atproto.server.createAppPassword({ name: 'chats', privileged: true })).data
check(/^[a-z2-7]{4}(-[a-z2-7]{4}){3}$/.test(plain.password), plain.password)
const app = agent()
await app.login({ identifier: handle, password: plain.password })
const post = { repo: did, collection: 'app.bsky.feed.post', record: { text: 'hi', createdAt: new Date().toISOString() } }
seen.appPosts = await name(app.com.atproto.repo.createRecord(post))
seen.app = {
  createAppPassword: await name(app.com.atproto.server.createAppPassword({ name: 'more' })),
  requestEmailUpdate: await name(app.com.atproto.server.requestEmailUpdate()),
  updateEmail: await name(app.com.atproto.server.updateEmail({ email: 'x@mail.test' })),
  requestAccountDelete: await name(app.com.atproto.server.requestAccountDelete()),
  deactivateAccount: await name(app.com.atproto.server.deactivateAccount({})),
  updateHandle: await name(app.com.atproto.identity.updateHandle({ handle: `new-${handle}` })),
}
const listed = (await alice.com.atproto.server.listAppPasswords()).data.passwords
seen.appPasswords = listed.map((one) => [one.name, one.privileged])
await alice.com.atproto.server.revokeAppPassword({ name: 'plain' })
seen.revoked = await name(agent().login({ identifier: handle, password: plain.password }))
seen.revokedSession = (await call('GET', 'com.atproto.server.getSession', { token: app.session.accessJwt })).body.error
await agent().login({ identifier: handle, password: chats.password })

// Preferences.
await alice.app.bsky.actor.putPreferences({
  preferences: [
    { $type: 'app.bsky.actor.defs#adultContentPref', enabled: true },
    { $type: 'app.bsky.actor.defs#personalDetailsPref', birthDate: '1990-01-01T00:00:00.000Z' },
  ],
})
const types = async (who) => (await who.app.bsky.actor.getPreferences()).data.preferences.map((one) => one.$type.split('#')[1])
seen.preferences = await types(alice)
const limited = agent()
await limited.login({ identifier: handle, password: chats.password })
seen.limitedPreferences = await types(limited)
seen.queue = (await alice.com.atproto.temp.checkSignupQueue()).data

// Operators.
seen.noAdmin = (await call('GET', 'com.atproto.admin.getAccountInfo', { params: { did } })).status
seen.wrongAdmin = (await call('GET', 'com.atproto.admin.getAccountInfo', { params: { did }, basic: 'wrong' })).status
const info = await admin('GET', 'getAccountInfo', { params: { did } })
seen.info = { handle: info.handle, email: info.email }
seen.infos = (await admin('GET', 'getAccountInfos', { params: new URLSearchParams([['dids', did], ['dids', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa']]) })).infos.length
seen.found = (await admin('GET', 'searchAccounts', { params: { email: given.name } })).accounts.map((one) => one.did)
const code = await call('POST', 'com.atproto.server.createInviteCode', { basic: given.admin, body: { useCount: 1 } })
const codes = await call('POST', 'com.atproto.server.createInviteCodes', { basic: given.admin, body: { codeCount: 2, useCount: 1, forAccounts: [did] } })
seen.codes = [code.body.code.startsWith('localhost-'), codes.body.codes[0].codes.length]
seen.ownCodes = (await alice.com.atproto.server.getAccountInviteCodes()).data.codes.length
await admin('POST', 'disableInviteCodes', { body: { codes: [codes.body.codes[0].codes[0]] } })
seen.ownCodesThen = (await alice.com.atproto.server.getAccountInviteCodes()).data.codes.length
seen.allCodes = (await admin('GET', 'getInviteCodes', { params: { sort: 'usage', limit: 500 } })).codes.length >= 3
seen.adminCodes = await admin('POST', 'disableInviteCodes', { body: { accounts: ['admin'] } })
await admin('POST', 'disableAccountInvites', { body: { account: did } })
seen.invitesDisabled = (await admin('GET', 'getAccountInfo', { params: { did } })).invitesDisabled
await admin('POST', 'enableAccountInvites', { body: { account: did } })

// Takedown of a record, then of the account.
const posted = (await alice.com.atproto.repo.createRecord(post)).data
const subject = { $type: 'com.atproto.repo.strongRef', uri: posted.uri, cid: posted.cid }
const record = { repo: did, collection: 'app.bsky.feed.post', rkey: posted.uri.split('/').pop() }
const visible = async () => (await call('GET', 'com.atproto.repo.getRecord', { params: record })).body.error ?? 'shown'
seen.visible = [await visible()]
await admin('POST', 'updateSubjectStatus', { body: { subject, takedown: { applied: true, ref: 'case 1' } } })
seen.visible.push(await visible())
seen.listed = (await alice.com.atproto.repo.listRecords({ repo: did, collection: record.collection })).data.records.some((one) => one.uri === posted.uri)
seen.recordStatus = (await admin('GET', 'getSubjectStatus', { params: { uri: posted.uri } })).takedown
await admin('POST', 'updateSubjectStatus', { body: { subject, takedown: { applied: false } } })
seen.visible.push(await visible())
seen.noSubject = await admin('GET', 'getSubjectStatus', { params: { did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' } })

const account = { $type: 'com.atproto.admin.defs#repoRef', did }
await admin('POST', 'updateSubjectStatus', { body: { subject: account, takedown: { applied: true, ref: 'case 2' } } })
seen.both = await admin('POST', 'updateSubjectStatus', { body: { subject: account, takedown: { applied: true }, deactivated: { applied: false } } })
seen.status = await admin('GET', 'getSubjectStatus', { params: { did } })
seen.takendown = {
  login: await name(agent().login({ identifier: handle, password })),
  appPassword: await name(agent().login({ identifier: handle, password: chats.password })),
  session: (await call('GET', 'com.atproto.server.getSession', { token: alice.session.accessJwt })).body.error,
  repo: (await call('GET', 'com.atproto.sync.getRepoStatus', { params: { did } })).body,
  head: (await call('GET', 'com.atproto.sync.getLatestCommit', { params: { did } })).body.error,
}
const narrow = (await call('POST', 'com.atproto.server.createSession', { body: { identifier: did, password, allowTakendown: true } })).body
seen.narrow = {
  status: narrow.status,
  write: (await call('POST', 'com.atproto.repo.createRecord', { token: narrow.accessJwt, body: post })).body.error,
  refresh: (await refresh(narrow.refreshJwt)).body.error,
}
await admin('POST', 'updateSubjectStatus', { body: { subject: account, takedown: { applied: false } } })
await admin('POST', 'updateAccountPassword', { body: { did, password: 'set by the operator' } })
await alice.login({ identifier: handle, password: 'set by the operator' })
await admin('POST', 'updateAccountEmail', { body: { account: handle, email: `new-${email}` } })
seen.sent = await admin('POST', 'sendEmail', { body: { recipientDid: did, content: 'Hello', senderDid: did, subject: 'Hello' } })

// Deactivation and back.
await alice.login({ identifier: handle, password: 'set by the operator' })
await alice.com.atproto.server.deactivateAccount({})
seen.deactivated = {
  session: (await alice.com.atproto.server.getSession()).data.status,
  write: await name(alice.com.atproto.repo.createRecord(post)),
  repo: (await call('GET', 'com.atproto.sync.getRepoStatus', { params: { did } })).body.status,
}
await alice.com.atproto.server.activateAccount()
seen.activated = (await alice.com.atproto.server.getSession()).data.active
await alice.com.atproto.repo.createRecord(post)

seen.checked = checked
console.log(JSON.stringify(seen))
