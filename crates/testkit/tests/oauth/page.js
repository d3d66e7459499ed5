// A web application of one page on @atproto/oauth-client-browser, as it comes. It signs in when its buttons are pressed, and
// does everything else when `browser.mjs` calls `window.app`. What came of loading it stands in the page.

import { BrowserOAuthClient } from '@atproto/oauth-client-browser'

const { host, directory, handle, scope } = await (await fetch('/settings.json')).json()
const redirect_uri = `${location.origin}${location.pathname}`
const client = await BrowserOAuthClient.load({
  clientId: `http://localhost?${new URLSearchParams({ redirect_uri, scope })}`,
  handleResolver: host,
  plcDirectoryUrl: directory,
  allowHttp: true,
})
let session = null

/** Says what is so now. */
function say(told) {
  document.querySelector('output').textContent = JSON.stringify({ did: session?.did ?? null, ...told })
}

async function answer(response) {
  return { status: response.status, error: (await response.json()).error ?? null }
}

function post(path, type, body) {
  return session.fetchHandler(`/xrpc/${path}`, { method: 'POST', headers: { 'content-type': type }, body })
}

window.app = {
  write: async (collection) => answer(await post('com.atproto.repo.createRecord', 'application/json',
    JSON.stringify({ repo: session.did, collection, record: { $type: collection, text: 'hello' }, validate: false }))),

  upload: async (type, bytes) => answer(await post('com.atproto.repo.uploadBlob', type, new Uint8Array(bytes))),

  read: async () => answer(await session.fetchHandler('/xrpc/com.atproto.server.getSession')),

  /** New tokens, although the old ones are good. */
  refresh: async () => {
    const before = await session.getTokenSet(false)
    const { scope } = await session.getTokenInfo(true)
    const after = await session.getTokenSet(false)
    return { scope, renewed: before.access_token !== after.access_token && before.refresh_token !== after.refresh_token }
  },

  /** What a page of another origin may see of an answer to a token that is none. */
  seen: async () => {
    const headers = { authorization: 'DPoP a.b.c', dpop: 'a.b.c' }
    const response = await fetch(new URL('/xrpc/com.atproto.server.getSession', host), { headers })
    const header = (name) => response.headers.get(name)
    return { status: response.status, nonce: header('dpop-nonce'), challenge: header('www-authenticate') }
  },

  /** Signs out, and shows the tokens all the same, with proofs of the key that they are bound to. */
  signOut: async () => {
    const old = session
    const { aud, access_token, refresh_token } = await old.getTokenSet(false)
    await old.signOut()
    const headers = { authorization: `DPoP ${access_token}` }
    const access = await old.dpopFetch(new URL('/xrpc/com.atproto.server.getSession', aud), { headers })
    const refreshed = old.server.request('token', { grant_type: 'refresh_token', refresh_token })
    return { access: await answer(access), refresh: await refreshed.then(() => 'accepted', (error) => error.error) }
  },
}

document.querySelector('#sign-in').onclick = () => client.signIn(handle, { state: 'a state of the application' })
document.querySelector('#popup').onclick = () => client.signIn(handle, { display: 'popup' })
  .then((signedIn) => (session = signedIn, say({ by: 'popup' })), (error) => say({ error: String(error) }))

try {
  const found = await client.init()
  session = found?.session ?? null
  say({ state: found?.state ?? null, error: null })
} catch (error) {
  say({ error: error.params?.get('error') ?? String(error) })
}
