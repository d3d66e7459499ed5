// Resolves a DID and reads its repo with the reference packages alone; prints what they make of it as JSON.
// Usage: node resolve.mjs SERVICE DID PLC
import { AtpAgent } from '@atproto/api'
import { IdResolver } from '@atproto/identity'
import { verifyRepoCar } from '@atproto/repo'

const [service, did, plcUrl] = process.argv.slice(2)
const resolver = new IdResolver({ plcUrl, fetch: globalThis.fetch })
const data = await resolver.did.resolveAtprotoData(did, true)
const agent = new AtpAgent({ service })
const car = (await agent.com.atproto.sync.getRepo({ did })).data
const head = (await agent.com.atproto.sync.getLatestCommit({ did })).data
const verified = await verifyRepoCar(car, did, data.signingKey)
console.log(JSON.stringify({ ...data, head, rev: verified.commit.rev, records: verified.creates.length }))
