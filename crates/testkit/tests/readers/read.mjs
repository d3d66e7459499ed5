// Reads an account from a server with the reference packages alone, verifies it, and prints what it found as JSON.
// Usage: node read.mjs SERVICE DID SIGNING-KEY
import { AtpAgent } from '@atproto/api'
import { verifyRepoCar, verifyDiffCar, verifyProofs, verifyRecords, readCarWithRoot } from '@atproto/repo'
import { createHash } from 'node:crypto'

const [service, did, key] = process.argv.slice(2)
const agent = new AtpAgent({ service })
const { repo, sync } = agent.com.atproto
const check = (fine, what) => {
  if (!fine) throw new Error(what)
}

const about = (await repo.describeRepo({ repo: did })).data
const head = (await sync.getLatestCommit({ did })).data
const status = (await sync.getRepoStatus({ did })).data

// All records, by pages, both ways.
const records = {}
for (const collection of about.collections) {
  const forth = []
  const back = []
  for (const [list, reverse] of [[forth, false], [back, true]]) {
    let cursor
    do {
      const page = (await repo.listRecords({ repo: did, collection, limit: 100, cursor, reverse })).data
      list.push(...page.records)
      cursor = page.records.length ? page.cursor : undefined
    } while (cursor)
  }
  check(forth.length === back.length, `${collection}: the two directions differ`)
  check(forth.every((one, at) => one.uri === back[back.length - 1 - at].uri), `${collection}: order`)
  for (const { uri, cid, value } of forth) {
    records[uri] = { cid, value }
  }
}

// The whole repo, verified against the account's key.
const car = (await sync.getRepo({ did })).data
const verified = await verifyRepoCar(car, did, key)
check(verified.commit.cid.toString() === head.cid, 'the CAR has another head')
for (const { collection, rkey, cid } of verified.creates) {
  const uri = `at://${did}/${collection}/${rkey}`
  check(records[uri]?.cid === cid.toString(), `${uri} is in the CAR and not in the list`)
}
check(verified.creates.length === Object.keys(records).length, 'the CAR has other records than the list')
const { blocks } = await readCarWithRoot(car)

// Some records one by one, with their proofs; and the proof that one does not exist.
for (const uri of Object.keys(records).filter((_, at) => at % 37 === 0)) {
  const [collection, rkey] = uri.split('/').slice(3)
  const one = (await repo.getRecord({ repo: did, collection, rkey })).data
  check(one.cid === records[uri].cid, `${uri}: another record`)
  const proof = (await sync.getRecord({ did, collection, rkey })).data
  const claims = await verifyRecords(proof, did, key)
  check(claims.some((claim) => claim.rkey === rkey), `${uri}: not proved`)
}
const absent = { collection: 'app.bsky.feed.post', rkey: '3zzzzzzzzzzzz' }
const proof = (await sync.getRecord({ did, ...absent })).data
const { verified: proved } = await verifyProofs(proof, [{ ...absent, cid: null }], did, key)
check(proved.length === 1, 'absence is not proved')

// Some blocks by CID.
const some = blocks.cids().filter((_, at) => at % 23 === 0).slice(0, 50).map((cid) => cid.toString())
const got = (await sync.getBlocks({ did, cids: some })).data
check(got.length > 0, 'no blocks')

// All blobs.
const blobs = {}
let cursor
do {
  const page = (await sync.listBlobs({ did, limit: 2, cursor })).data
  for (const cid of page.cids) {
    const blob = await sync.getBlob({ did, cid })
    blobs[cid] = createHash('sha256').update(blob.data).digest('hex')
  }
  cursor = page.cids.length ? page.cursor : undefined
} while (cursor)

// Nothing is new since the head; an unknown account is named as such.
const same = await verifyDiffCar(null, (await sync.getRepo({ did })).data, did, key)
check(same.commit.cid.toString() === head.cid, 'diff')
const nobody = await sync.getRepo({ did: 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa' }).catch((error) => error.error)

const { handle, didDoc, collections, handleIsCorrect } = about
console.log(JSON.stringify({
  about: { handle, didDoc, collections: collections.sort(), handleIsCorrect },
  head, status, records, blobs, blocks: blocks.size, nobody,
}))
