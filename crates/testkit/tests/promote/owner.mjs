// The account's owner after a promotion, with the ordinary client: logs in by name, looks where the client was led,
// posts, uploads, changes the profile. Prints what it saw as JSON.
// Usage: node owner.mjs SERVICE HANDLE PASSWORD
import { AtpAgent } from '@atproto/api'

const [service, identifier, password] = process.argv.slice(2)
const agent = new AtpAgent({ service })
const session = (await agent.login({ identifier, password })).data
const picture = (await agent.uploadBlob(new Uint8Array(2000).fill(7), { encoding: 'image/png' })).data.blob
const post = await agent.post({
  text: 'still here',
  createdAt: new Date().toISOString(),
  embed: { $type: 'app.bsky.embed.images', images: [{ image: picture, alt: 'a picture' }] },
})
await agent.upsertProfile((old) => ({ ...old, displayName: 'Back again' }))
const { records } = (await agent.com.atproto.repo.listRecords({ repo: session.did, collection: 'app.bsky.feed.post', limit: 100 })).data
const head = (await agent.com.atproto.sync.getLatestCommit({ did: session.did })).data
console.log(JSON.stringify({
  did: session.did, active: session.active, pds: agent.pdsUrl?.origin ?? null, post: post.uri,
  posts: records.length, rev: head.rev,
}))
