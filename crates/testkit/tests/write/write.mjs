// Writes to a repo in every way that the methods know, well and badly, and prints as JSON what each call came to. Then
// the repo, the proofs and the stream are checked with the reference's own packages.
// Usage: node write.mjs '{"service","identifier","password","plc","check"}'
import { AtpAgent } from '@atproto/api'
import { readCarWithRoot, verifyProofs, verifyRecords, verifyRepoCar } from '@atproto/repo'
import { Frame } from '@atproto/xrpc-server'

const given = JSON.parse(process.argv[2])
const agent = new AtpAgent({ service: given.service })
await agent.login({ identifier: given.identifier, password: given.password })
const { did, accessJwt, handle } = agent.session
const steps = {}

const send = async (nsid, body, headers = {}) => {
  const all = { 'content-type': 'application/json', authorization: `Bearer ${accessJwt}`, ...headers }
  const answer = await fetch(`${given.service}/xrpc/${nsid}`, {
    method: 'POST',
    headers: Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)),
    body: typeof body === 'string' ? body : JSON.stringify(body),
  })
  const text = await answer.text()
  let json = {}
  try {
    json = JSON.parse(text)
  } catch {}
  return { status: answer.status, json }
}

// What of an answer must be the same on every server: CIDs of records are, commits are not.
const seen = ({ status, json }) =>
  status === 200
    ? {
        status,
        commit: json.commit !== undefined,
        cid: json.cid,
        validation: json.validationStatus,
        results: json.results?.map(({ $type, cid, validationStatus }) => [$type, cid, validationStatus]),
      }
    : { status, error: json.error }
const step = async (name, method, body, headers) => {
  const answer = await send(`com.atproto.repo.${method}`, { repo: did, ...body }, headers)
  steps[name] = seen(answer)
  return answer.json
}

const POST = 'app.bsky.feed.post'
const createdAt = '2026-01-01T00:00:00.000Z'
const post = (text, more = {}) => ({ $type: POST, text, createdAt, ...more })
const key = (n) => `3jzfcijpj2${'234567abcdefghij'[n]}2a`
const make = (name, record, more = {}) => step(name, 'createRecord', { collection: POST, record, ...more })

// One record after the other.
const first = await make('create', post('first'), { rkey: key(0) })
await make('create with a made key', post('made'))
await make('create without $type', { text: 'untyped', createdAt }, { rkey: key(1) })
await make('create of another type', { $type: 'app.bsky.feed.like', text: 'x', createdAt })
await make('create of a wrong record', { $type: POST, text: 5, createdAt })
await make('create of a wrong record, unchecked', { $type: POST, text: 5, createdAt }, { validate: false, rkey: key(2) })
await make('create under a key that is no TID', post('x'), { rkey: 'self' })
await make('create under a bad key', post('x'), { rkey: 'no spaces' })
await make('create under a dot', post('x'), { rkey: '.', validate: false })
await make('create of an array', [1])
await make('create of nothing', null)
await make('create where one is', post('again'), { rkey: key(0) })
const thing = { collection: 'com.example.thing', rkey: 'one', record: { $type: 'com.example.thing', a: 1 } }
await step('create of an unknown type', 'createRecord', thing)
await step('create of an unknown type, checked', 'createRecord', { ...thing, rkey: 'two', validate: true })
await step('create of an unknown type, unchecked', 'createRecord', { ...thing, rkey: 'three', validate: false })
await step('create in no collection', 'createRecord', { ...thing, collection: 'thing' })
await step('create without a record', 'createRecord', { collection: POST })
await make('swap of the commit', post('x'), { swapCommit: first.cid, rkey: key(3) })
await make('swap of the commit, null', post('x'), { swapCommit: null, rkey: key(3) })
await make('validate, null', post('x'), { validate: null, rkey: key(3) })
await make('under a key that is null', post('x'), { rkey: null })
await make('swap with what is no CID', post('x'), { swapCommit: 'abc', rkey: key(3) })

// The data model.
const odd = (name, value) => step(name, 'createRecord', { ...thing, rkey: undefined, record: { $type: thing.collection, value } })
await odd('a float', 1.5)
await odd('a float without a fraction', 2.0)
await odd('a large integer', 9007199254740991)
await odd('bytes', { $bytes: 'AQID' })
await odd('a link', { $link: first.cid })
await odd('null', null)
await odd('a legacy blob', { cid: first.cid, mimeType: 'image/png' })
await odd('a blob that is not here', {
  $type: 'blob', ref: { $link: 'bafkreiccldh766hwcnuxnf2wh6jgzepf2nlu2lvcllt63eww5p6chi4ity' }, mimeType: 'image/png', size: 5,
})

// Blobs.
const uploaded = await agent.uploadBlob(new Uint8Array([1, 2, 3, 4]), { encoding: 'text/plain' })
const blob = JSON.parse(JSON.stringify(uploaded.data.blob))
await odd('a blob of another size', { ...blob, size: 5 })
await odd('a blob of another type', { ...blob, mimeType: 'image/gif' })
await odd('a blob', blob)
await odd('the blob again', blob)

// putRecord.
const put = (name, record, more = {}) => step(name, 'putRecord', { collection: POST, rkey: key(4), record, ...more })
await put('put of a new record', post('put'))
await put('put of the same', post('put'))
const changed = await put('put of another', post('put again'))
await put('put that expects nothing', post('x'), { swapRecord: null })
await put('put that expects another', post('x'), { swapRecord: first.cid })
await put('put that expects what is there', post('put thrice'), { swapRecord: changed.cid })
await put('put that expects nothing, where nothing is', post('x'), { swapRecord: null, rkey: key(5) })
await put('put that expects something, where nothing is', post('x'), { swapRecord: first.cid, rkey: key(6) })
await put('put on another commit', post('x'), { swapCommit: first.cid })
await put('put on a commit of null', post('x'), { swapCommit: null })
await put('put of a wrong record', { $type: POST, text: 5, createdAt })

// deleteRecord.
const remove = (name, n, more = {}) => step(name, 'deleteRecord', { collection: POST, rkey: key(n), ...more })
await remove('delete that expects another', 5, { swapRecord: first.cid })
await remove('delete on another commit', 5, { swapCommit: first.cid })
await remove('delete that expects null', 5, { swapRecord: null })
await remove('delete on a commit of null', 5, { swapCommit: null })
await remove('delete', 5)
await remove('delete of nothing', 5)
await remove('delete of nothing that expects something', 5, { swapRecord: first.cid })

// applyWrites.
const A = 'com.atproto.repo.applyWrites'
const apply = (name, writes, more = {}) => step(name, 'applyWrites', { writes, ...more })
const at = (n, value) => ({ collection: POST, rkey: key(n), ...(value && { value }) })
await apply('three kinds in one', [
  { $type: `${A}#create`, ...at(7, post('seven')) },
  { $type: `${A}#update`, ...at(4, post('four')) },
  { $type: `${A}#delete`, ...at(1) },
])
await apply('200 at once', Array.from({ length: 200 }, (_, n) => ({ $type: `${A}#create`, collection: POST, value: post(`bulk ${n}`) })))
await apply('201 at once', Array.from({ length: 201 }, (_, n) => ({ $type: `${A}#create`, collection: POST, value: post(`bulk ${n}`) })))
await apply('an unknown action', [{ $type: `${A}#move`, ...at(7, post('x')) }])
await apply('an update of nothing', [{ $type: `${A}#update`, ...at(8, post('x')) }])
await apply('a delete of nothing', [{ $type: `${A}#delete`, ...at(8) }])
await apply('a create where one is', [{ $type: `${A}#create`, ...at(7, post('x')) }])
await apply('one wrong of two', [{ $type: `${A}#create`, ...at(9, post('x')) }, { $type: `${A}#create`, ...at(10, { text: 1 }) }])
await apply('on another commit', [{ $type: `${A}#create`, ...at(9, post('x')) }], { swapCommit: first.cid })
await apply('on a commit of null', [{ $type: `${A}#create`, ...at(9, post('x')) }], { swapCommit: null })
await apply('under a key that is null', [{ $type: `${A}#create`, ...at(9, post('x')), rkey: null }])

// Who may.
await make('by handle', post('by handle'), { repo: handle, rkey: key(11) })
await make('for somebody else', post('x'), { repo: 'did:plc:ewvi7nxzyoun6zhxrhs64oiz' })
steps['without a session'] = seen(await send('com.atproto.repo.createRecord', { repo: did, collection: POST, record: post('x') }, { authorization: undefined }))
steps['as text'] = seen(await send('com.atproto.repo.createRecord', '{}', { 'content-type': 'text/plain' }))
steps['no JSON'] = seen(await send('com.atproto.repo.createRecord', '{"repo":'))
steps['behind a byte order mark'] = seen(await send('com.atproto.repo.createRecord', '\ufeff' + JSON.stringify({ repo: did, collection: POST, rkey: key(12), record: post('marked') })))
steps['with a slash behind the method'] = seen(await send('com.atproto.repo.createRecord/', { repo: did, collection: POST, rkey: key(13), record: post('slash') }))
await make('too large', post('x'.repeat(1_100_000)))

// The newest of the same subject stays.
const subject = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz'
const follow = () => step('follow', 'createRecord', { collection: 'app.bsky.graph.follow', record: { subject, createdAt } })
await follow()
await follow()
const uri = `at://${subject}/${POST}/3jzfcijpj2z2a`
for (const collection of ['app.bsky.feed.like', 'app.bsky.feed.repost']) {
  for (const again of ['', ' again']) {
    await step(collection + again, 'createRecord', { collection, record: { subject: { uri, cid: first.cid }, createdAt } })
  }
}
const count = async (collection) => (await agent.com.atproto.repo.listRecords({ repo: did, collection })).data.records.length
steps.follows = await count('app.bsky.graph.follow')
steps.likes = await count('app.bsky.feed.like')
steps.reposts = await count('app.bsky.feed.repost')

// What the ordinary client does.
const made = await agent.post({ text: 'from the client', createdAt })
await agent.like(made.uri, made.cid)
await agent.upsertProfile((profile) => ({ ...profile, displayName: 'Client' }))
await agent.upsertProfile((profile) => ({ ...profile, description: 'twice' }))
await agent.deletePost(made.uri)
steps.profile = (await agent.com.atproto.repo.getRecord({ repo: did, collection: 'app.bsky.actor.profile', rkey: 'self' })).data.value.description

let checked = null
if (given.check) {
  const check = (fine, what) => {
    if (!fine) throw new Error(what)
  }
  const key = (await (await fetch(`${given.plc}/${did}/data`)).json()).verificationMethods.atproto
  const car = new Uint8Array((await agent.com.atproto.sync.getRepo({ did })).data)
  const repo = await verifyRepoCar(car, did, key)
  const records = new Map(repo.creates.map((create) => [`${create.collection}/${create.rkey}`, create.cid.toString()]))
  const listed = new Map()
  for (const collection of (await agent.com.atproto.repo.describeRepo({ repo: did })).data.collections) {
    let cursor
    do {
      const page = (await agent.com.atproto.repo.listRecords({ repo: did, collection, cursor, limit: 100 })).data
      for (const record of page.records) listed.set(record.uri.split('/').slice(3).join('/'), record.cid)
      cursor = page.cursor
    } while (cursor)
  }
  const same = (a, b) => a.size === b.size && [...a].every(([path, cid]) => b.get(path) === cid)
  check(same(records, listed), 'the repo and its listing differ')
  for (const [path, cid] of [...records].slice(0, 20)) {
    const [collection, rkey] = path.split('/')
    const proof = new Uint8Array((await agent.com.atproto.sync.getRecord({ did, collection, rkey })).data)
    const found = await verifyRecords(proof, did, key)
    check(found.some((record) => record.rkey === rkey), `no proof of ${path}`)
    const claims = await verifyProofs(proof, [{ collection, rkey, cid: (await readCarWithRoot(proof), null) }], did, key)
    check(claims.unverified.length === 1, `${cid} is there, and its absence was proved`)
  }
  const absent = { collection: POST, rkey: 'nothing' }
  const proof = new Uint8Array((await agent.com.atproto.sync.getRecord({ did, ...absent })).data)
  check((await verifyProofs(proof, [{ ...absent, cid: null }], did, key)).verified.length === 1, 'no proof of absence')

  // The stream from its beginning gives the same records, each commit proved by its own blocks.
  const { cid: head } = (await agent.com.atproto.sync.getLatestCommit({ did })).data
  const told = new Map()
  let events = 0
  const socket = new WebSocket(`${given.service.replace('http', 'ws')}/xrpc/com.atproto.sync.subscribeRepos?cursor=0`)
  socket.binaryType = 'arraybuffer'
  const frames = []
  let ring = () => {}
  socket.onmessage = ({ data }) => {
    frames.push(Frame.fromBytes(new Uint8Array(data)))
    ring()
  }
  let last = 0
  let previous = null
  for (let done = false; !done; ) {
    if (frames.length === 0) await new Promise((more) => (ring = more))
    const frame = frames.shift()
    if (!frame) continue
    const body = frame.body
    check(body.seq > last, 'numbers rise')
    last = body.seq
    if (frame.header.t !== '#commit' || body.repo !== did) continue
    events += 1
    check(body.blocks.length <= 2_000_000 && body.ops.length <= 200 && !body.tooBig && !body.rebase, 'an event within limits')
    check((body.since ?? null) === previous, 'since is the rev before')
    previous = body.rev
    const claims = body.ops.map((op) => {
      const [collection, rkey] = op.path.split('/')
      return { collection, rkey, cid: op.cid }
    })
    const proved = await verifyProofs(body.blocks, claims, did, key)
    check(proved.unverified.length === 0, `event ${body.seq} proves what it says`)
    for (const op of body.ops) {
      check((op.prev?.toString() ?? undefined) === told.get(op.path), `${op.path} before ${body.seq}`)
      if (op.cid) told.set(op.path, op.cid.toString())
      else told.delete(op.path)
    }
    done = body.commit.toString() === head
  }
  socket.close()
  check(same(told, records), 'the stream and the repo differ')
  checked = { records: records.size, events }
}
console.log(JSON.stringify({ did, steps, checked }))
process.exit(0)
