// A Bluesky AppView on loopback: appview.mjs PLC STREAM PDS POSTGRES
//   PLC       http://localhost:PORT of the directory
//   STREAM    ws://localhost:PORT of a relay or a PDS
//   PDS       http://localhost:PORT that answers for handles under .test
//   POSTGRES  postgresql://USER@localhost:PORT/DATABASE
// Prints {"ready":"appview","url":...,"did":...} and runs until it is killed.
import { TestBsky, TestBsync } from '@atproto/dev-env'

const [plcUrl, repoProvider, pds, dbUrl] = process.argv.slice(2)

const bsync = await TestBsync.create({ apiKeys: ['key'], dbUrl, dbSchema: 'bsync' })
const appview = await TestBsky.create({
  plcUrl, repoProvider, dbPostgresUrl: dbUrl, dbPostgresSchema: 'appview', bsyncUrl: bsync.url, bsyncApiKey: 'key',
})
// Names under .test are in no public DNS: the host that made them answers.
async function resolve(handle) {
  const answer = await fetch(`${pds}/xrpc/com.atproto.identity.resolveHandle?handle=${encodeURIComponent(handle)}`)
  return answer.ok ? (await answer.json()).did : undefined
}
appview.ctx.idResolver.handle.resolve = resolve
appview.dataplane.idResolver.handle.resolve = resolve
console.log(JSON.stringify({ ready: 'appview', url: appview.url, did: appview.serverDid }))
