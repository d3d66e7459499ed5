// @atproto/oauth-client-node, as it comes, with a permission set: signs in, and after the host was started again without
// being able to look the set up it refreshes, writes, and asks anew.
// Arguments: the host, the account, what is declared as scope.
import { createInterface } from 'node:readline'
import { NodeOAuthClient } from '@atproto/oauth-client-node'

const [host, did, scope] = process.argv.slice(2)
const redirect = 'http://127.0.0.1:5000/callback'
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]()
const ask = async (value) => {
  process.stdout.write(`${JSON.stringify(value)}\n`)
  return (await lines.next()).value
}
const store = () => {
  const map = new Map()
  return {
    get: async (key) => map.get(key),
    set: async (key, value) => void map.set(key, value),
    del: async (key) => void map.delete(key),
  }
}
const didDoc = {
  '@context': ['https://www.w3.org/ns/did/v1'],
  id: did,
  service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: host }],
}
const client = new NodeOAuthClient({
  clientMetadata: {
    client_id: `http://localhost?${new URLSearchParams([['redirect_uri', redirect], ['scope', scope]])}`,
    scope, redirect_uris: [redirect], response_types: ['code'], grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none', application_type: 'native', dpop_bound_access_tokens: true,
  },
  allowHttp: true, stateStore: store(), sessionStore: store(), requestLock: async (_, work) => work(),
  identityResolver: { resolve: async () => ({ did, didDoc, handle: 'handle.invalid' }) },
})
const write = async (session, collection) => {
  const response = await session.fetchHandler('/xrpc/com.atproto.repo.createRecord', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ repo: did, collection, record: { $type: collection, title: 'x' }, validate: false }),
  })
  return response.status
}

const url = await client.authorize(did)
const { session } = await client.callback(new URLSearchParams(await ask({ url: url.href })))
const granted = async () => (await session.getTokenInfo(false)).scope
const inside = await write(session, 'com.example.book')
const outside = await write(session, 'com.example.other')
await ask({ scope: await granted(), inside, outside })
await session.getTokenInfo(true)
const renewed = { scope: await granted(), inside: await write(session, 'com.example.book') }
const anew = await client.authorize(did).then(() => 'accepted', (error) => String(error))
process.stdout.write(`${JSON.stringify({ ...renewed, anew })}\n`)
process.exit(0)
