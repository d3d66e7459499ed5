// Two consumers of a host's stream, both of the reference: the firehose client, which checks schemas and signatures and
// proves each operation, and the repository library, which applies every commit to a copy and compares what changed with
// what the event says. Ends at the first record of the collection `com.example.end`; prints what it saw.
import { Firehose } from '@atproto/sync'
import { IdResolver } from '@atproto/identity'
import { Subscription } from '@atproto/xrpc-server'
import { MemoryBlockstore, Repo, readCarWithRoot, verifyDiff } from '@atproto/repo'

const [service, plc, pds] = process.argv.slice(2)
const END = 'com.example.end'
const idResolver = new IdResolver({ plcUrl: plc, fetch: globalThis.fetch })
const seen = { counts: {}, proved: 0, ops: 0, errors: [], diffs: 0, syncs: 0, heads: {} }
let last = 0
const fault = (error) => seen.errors.push(String(error?.cause ?? error?.message ?? error).slice(0, 400))

setTimeout(() => { // the test fails and shows where it stands
  fault('no end after a minute')
  console.log(JSON.stringify({ ...seen, last }))
  process.exit(0)
}, 25_000).unref()

let firehoseDone
const firehose = new Promise((resolve) => { firehoseDone = resolve })
const client = new Firehose({
  idResolver, service, getCursor: () => 0, unauthenticatedHandles: true,
  handleEvent: async (event) => {
    seen.counts[event.event] = (seen.counts[event.event] ?? 0) + 1
    if (['create', 'update', 'delete'].includes(event.event)) seen.proved++
    if (event.collection === END) firehoseDone()
  },
  onError: fault,
})
client.start()

const repos = new Map()
async function load(did) {
  const answer = await fetch(`${pds}/xrpc/com.atproto.sync.getRepo?did=${did}`)
  if (!answer.ok) throw new Error(`getRepo ${answer.status}`)
  const { root, blocks } = await readCarWithRoot(new Uint8Array(await answer.arrayBuffer()))
  const storage = new MemoryBlockstore(blocks)
  repos.set(did, { storage, repo: await Repo.load(storage, root) })
}
async function commit(event) {
  const did = event.repo
  const held = repos.get(did)
  const { root, blocks } = await readCarWithRoot(event.blocks)
  if (root.toString() !== event.commit.toString()) throw new Error(`${event.seq}: another root`)
  const key = await idResolver.did.resolveAtprotoKey(did, true)
  // A head that was fetched may be ahead of the stream.
  if (held && held.repo.commit.rev >= event.rev) return
  if (held) {
    if (event.since !== held.repo.commit.rev) throw new Error(`${event.seq}: since ${event.since}, held ${held.repo.commit.rev}`)
    if (event.prevData?.toString() !== held.repo.commit.data.toString()) throw new Error(`${event.seq}: another prevData`)
  }
  const diff = await verifyDiff(held?.repo ?? null, blocks, root, did, key)
  const said = event.ops.map((op) => `${op.action} ${op.path} ${op.cid ?? ''} ${op.prev ?? ''}`).sort()
  const found = diff.writes.map((w) => `${w.action} ${w.collection}/${w.rkey} ${w.cid && w.action !== 'delete' ? w.cid : ''} ${w.prev ?? (w.action === 'delete' ? w.cid : '')}`).sort()
  if (JSON.stringify(said) !== JSON.stringify(found)) throw new Error(`${event.seq}: says ${said.slice(0, 3)}, does ${found.slice(0, 3)}`)
  const storage = held?.storage ?? new MemoryBlockstore()
  await storage.applyCommit(diff.commit)
  const repo = await Repo.load(storage, root)
  repos.set(did, { storage, repo })
  seen.diffs++
  seen.heads[did] = root.toString()
}
const raw = new Subscription({ service, method: 'com.atproto.sync.subscribeRepos', getParams: () => ({ cursor: 0 }), validate: (v) => v })
for await (const event of raw) {
  const kind = event.$type.split('#').at(-1)
  if (event.seq !== undefined) {
    if (event.seq <= last) fault(`${event.seq} after ${last}`)
    last = event.seq
  }
  try {
    if (kind === 'commit') {
      seen.ops += event.ops.length
      await commit(event)
      if (event.ops.some((op) => op.path.startsWith(END))) break
    } else if (kind === 'sync') {
      seen.syncs++
      const { root } = await readCarWithRoot(event.blocks)
      const held = repos.get(event.did)
      if (held?.repo.cid.toString() !== root.toString()) await load(event.did)
    } else if (kind === 'account' && event.status === 'deleted') {
      repos.delete(event.did)
    }
  } catch (error) { fault(error) }
}
await firehose
console.log(JSON.stringify({ ...seen, last }))
process.exit(0)
