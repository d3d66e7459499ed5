// Replays sequences of repository operations with the reference implementation and says what it made of them.
//
//   node mst-diff.mjs ORACLE_DIR        one JSON value a line on stdin and stdout, in order
//
// in:  { start: [[key, cid]...], commits: [[[action, key, cid|null]...]...] }
// out: [ { root, added: [cid...], removed: [cid...], proof: [cid...] } ... ]   the start first (without its proof, which
//      would take most of the time), then each commit; sorted, tree nodes only
import { createInterface } from 'node:readline'
import { pathToFileURL } from 'node:url'
import { join } from 'node:path'

const load = (pack) => import(pathToFileURL(join(process.argv[2], 'node_modules/@atproto', pack, 'dist/index.js')))
const { MST, MemoryBlockstore, DataDiff, BlockMap } = await load('repo')
const { parseCid } = await load('lex-data')

const cids = (map) => [...map.cids()].map(String).sort()

// What Repo.formatCommit of the package does, without records and signature.
async function commit(prev, ops, prove) {
  let data = prev
  for (const [action, key, cid] of ops) {
    if (action === 'create') data = await data.add(key, parseCid(cid))
    else if (action === 'update') data = await data.update(key, parseCid(cid))
    else data = await data.delete(key)
  }
  const root = await data.getPointer()
  const diff = await DataDiff.of(data, prev)
  const proof = new BlockMap()
  const proofs = prove ? ops.map(([, key]) => data.getCoveringProof(key)) : []
  for (const part of await Promise.all(proofs)) proof.addMap(part)
  return { data, root, diff, proof }
}

for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  const { start, commits } = JSON.parse(line)
  const leaves = new Set(start.map(([, cid]) => cid))
  const storage = new MemoryBlockstore()
  let data = await MST.create(storage)
  const out = []
  for (const ops of [start.map(([key, cid]) => ['create', key, cid]), ...commits]) {
    for (const [, , cid] of ops) leaves.add(cid)
    const made = await commit(data, ops, out.length > 0)
    const removed = made.diff.removedCids.toList().map(String).filter((cid) => !leaves.has(cid))
    out.push({
      root: made.root.toString(),
      added: cids(made.diff.newMstBlocks),
      removed: removed.sort(),
      proof: out.length > 0 ? cids(made.proof) : null,
    })
    // As a server does: what was written is read back for the next commit.
    storage.blocks.addMap(made.diff.newMstBlocks)
    data = MST.load(storage, made.root)
  }
  if (!process.stdout.write(JSON.stringify(out) + '\n')) {
    await new Promise((resolve) => process.stdout.once('drain', resolve))
  }
}
