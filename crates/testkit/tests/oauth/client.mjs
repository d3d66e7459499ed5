// @atproto/oauth-client-node, as it comes: signs in, writes, is refused, refreshes, signs out. The person at the browser is
// the test: it gets the address on standard output and gives back what the browser would bring.
// Arguments: the host, the account, what is declared as scope.
import { createInterface } from 'node:readline'
import { NodeOAuthClient } from '@atproto/oauth-client-node'

const [host, did, scope] = process.argv.slice(2)
const redirect = 'http://127.0.0.1:5000/callback'
const client_id = `http://localhost?${new URLSearchParams([['redirect_uri', redirect], ['scope', scope]])}`
const states = new Map()
const sessions = new Map()
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
const client = new NodeOAuthClient({
  clientMetadata: {
    client_id, scope, redirect_uris: [redirect], response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'], token_endpoint_auth_method: 'none',
    application_type: 'native', dpop_bound_access_tokens: true,
  },
  allowHttp: true,
  stateStore: store(states),
  sessionStore: store(sessions),
  requestLock: async (_, work) => work(),
  // The network of the test has no names; who the account is, the test knows.
  identityResolver: { resolve: async () => ({ did, didDoc, handle: 'handle.invalid' }) },
})

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`)

const write = async (session, collection) => {
  const response = await session.fetchHandler('/xrpc/com.atproto.repo.createRecord', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ repo: did, collection, record: { $type: collection, text: 'hello' }, validate: false }),
  })
  return { status: response.status, body: await response.json() }
}

const url = await client.authorize(did, { state: 'a state of the application' })
say({ url: url.href })
const answer = new URLSearchParams((await lines.next()).value)
const { session, state } = await client.callback(answer)
const before = await session.getTokenInfo(false)
const told = { did: session.did, state, scope: before.scope }
const first = await write(session, 'com.example.thing')
const outside = await write(session, 'com.example.other')
const tokens = [sessions.get(did).tokenSet]
const restored = await client.restore(did, true)
tokens.push(sessions.get(did).tokenSet)
const second = await write(restored, 'com.example.thing')
const renewed = tokens[0].access_token !== tokens[1].access_token && tokens[0].refresh_token !== tokens[1].refresh_token
// Another try with the same answer must not work, nor the session after signing out.
const replayed = await client.callback(answer).then(() => 'accepted', () => 'refused')
await restored.signOut()
const after = await write(restored, 'com.example.thing').then((r) => r.status, () => 'refused')
say({ told, first, outside, renewed, second, replayed, after })
process.exit(0)
