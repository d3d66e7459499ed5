// What a client of the network does with a host, from outside: everything goes through the proxy and its certificate.
// Usage: node client.mjs '{"service","handle","email","password","create","proxy"}'; `create` makes the account first, `proxy`
// is named in the post. What it saw is printed as JSON.
import { AtpAgent } from '@atproto/api'
import { randomBytes } from 'node:crypto'

const given = JSON.parse(process.argv[2])
const agent = new AtpAgent({ service: given.service })
const { handle, email, password } = given
if (given.create) await agent.createAccount({ handle, email, password })
else await agent.login({ identifier: handle, password })
const did = agent.session.did

const bytes = randomBytes(3 << 20)
const { blob } = (await agent.uploadBlob(bytes, { encoding: 'application/octet-stream' })).data
const record = { $type: 'com.example.file', blob, createdAt: new Date().toISOString() }
const made = (await agent.com.atproto.repo.createRecord({ repo: did, collection: record.$type, record, validate: false })).data
const post = await agent.post({ text: `through ${given.proxy}`, createdAt: new Date().toISOString() })
const back = (await agent.com.atproto.sync.getBlob({ did, cid: blob.ref.toString() })).data
const repo = (await agent.com.atproto.sync.getRepo({ did })).data
const wellKnown = await fetch(`https://${handle}/.well-known/atproto-did`)
console.log(
  JSON.stringify({
    did, made, post, whole: Buffer.compare(Buffer.from(back), bytes) === 0, repo: repo.length,
    wellKnown: (await wellKnown.text()).trim(),
  }),
)
