// @atproto/oauth-client-node, as it comes, as a confidential client: it proves itself with keys of its own, which it publishes
// at its own address. It signs in, writes, is refused, refreshes; then again with what it asks for in a signed object; then
// the key with which it signed in is withdrawn.
// Arguments: the host, the account, what is declared as scope, the client's own address. It asks for three things: that its
// documents be published, what the browser brings back from an address, and that a key be withdrawn.
import { createInterface } from 'node:readline'
import { JoseKey, NodeOAuthClient } from '@atproto/oauth-client-node'

const [host, did, scope, site] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)
const ask = async (value) => {
  say(value)
  return (await lines.next()).value
}

const store = (map) => ({
  get: async (key) => map.get(key),
  set: async (key, value) => void map.set(key, value),
  del: async (key) => void map.delete(key),
})
const didDoc = {
  '@context': ['https://www.w3.org/ns/did/v1'],
  id: did,
  service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: host }],
}
const clientMetadata = {
  client_id: `${site}/client.json`, client_name: 'A service', client_uri: site, scope,
  redirect_uris: [`${site}/callback`], response_types: ['code'], application_type: 'web',
  grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: 'ES256', jwks_uri: `${site}/jwks.json`, dpop_bound_access_tokens: true,
}

/** A client with these keys, and what it keeps. */
function client(keyset, options = {}) {
  const sessions = new Map()
  const made = new NodeOAuthClient({
    clientMetadata, keyset, allowHttp: true, stateStore: store(new Map()), sessionStore: store(sessions),
    requestLock: async (_, work) => work(),
    // The network of the test has no names; who the account is, the test knows.
    identityResolver: { resolve: async () => ({ did, didDoc, handle: 'handle.invalid' }) },
    ...options,
  })
  return { made, sessions }
}

/** A way to send requests that puts what is pushed into an object that this key signs (RFC 9101). The client has no such
 * setting; all else of it is as it comes. */
const signing = (key) => async (input, init) => {
  const request = new Request(input, init)
  if (!request.url.endsWith('/oauth/par')) return fetch(request)
  const seconds = Math.floor(Date.now() / 1000)
  const claims = { iss: clientMetadata.client_id, aud: host, jti: crypto.randomUUID(), iat: seconds, exp: seconds + 60 }
  const beside = new URLSearchParams({ client_id: clientMetadata.client_id })
  for (const [name, value] of new URLSearchParams(await request.text())) {
    if (name.startsWith('client_assertion')) beside.set(name, value)
    else claims[name] = value
  }
  beside.set('request', await key.createJwt({ alg: 'ES256' }, claims))
  return fetch(request.url, { method: 'POST', headers: request.headers, body: beside })
}

const write = async (session, collection) => {
  const response = await session.fetchHandler('/xrpc/com.atproto.repo.createRecord', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ repo: did, collection, record: { $type: collection, text: 'hello' }, validate: false }),
  })
  return { status: response.status, error: (await response.json()).error ?? null }
}
const signIn = async (made, options) => {
  const url = await made.authorize(did, options)
  const { session } = await made.callback(new URLSearchParams(await ask({ url: url.href })))
  return session
}
const refused = (work) => work.then(() => 'accepted', (error) => error.error ?? error.cause?.error ?? error.name)

const keys = await Promise.all(['one', 'two'].map((kid) => JoseKey.generate(['ES256'], kid)))
const { made, sessions } = client(keys)
await ask({ metadata: made.clientMetadata, jwks: made.jwks })

const session = await signIn(made, { state: 'a state' })
const { kid } = sessions.get(did).authMethod
const first = await write(session, 'com.example.thing')
const outside = await write(session, 'com.example.other')
const before = sessions.get(did).tokenSet
await session.getTokenInfo(true)
const after = sessions.get(did).tokenSet
const renewed = before.access_token !== after.access_token && before.refresh_token !== after.refresh_token
const second = await write(session, 'com.example.thing')

const key = keys.find((one) => one.kid === kid)
const signed = client(keys, { fetch: signing(key) })
const bySigned = await signIn(signed.made, { scope: 'atproto' })
const granted = (await bySigned.getTokenInfo(false)).scope
const stranger = await JoseKey.generate(['ES256'], kid)
const forged = await refused(client(keys, { fetch: signing(stranger) }).made.authorize(did))

const other = keys.filter((one) => one.kid !== kid)
await ask({ withdraw: kid, jwks: client(other).made.jwks })
const withdrawn = await write(session, 'com.example.thing')
const refreshed = await refused(signed.made.restore(did, true))
const again = await refused(made.authorize(did))
const next = await refused(client(other).made.authorize(did))
say({ first, outside, renewed, second, granted, forged, withdrawn, refreshed, again, next })
process.exit(0)
