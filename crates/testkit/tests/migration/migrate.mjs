// Moves an account from one PDS to another by the documented flow, with @atproto/api as it comes, and prints what it saw
// on the way as JSON. Mail goes to a small server in here.
// Usage: node migrate.mjs '{"from","to","identifier","password","handle","email","newPassword","smtp"}'
import { createServer } from 'node:net'
import { AtpAgent } from '@atproto/api'
import { verifyRepoCar } from '@atproto/repo'

const given = JSON.parse(process.argv[2])
const check = (fine, what) => {
  if (!fine) throw new Error(what)
}

// The least of SMTP. Letters are handed to whoever waits for one to this address.
const letters = []
let ring = () => {}
const mail = createServer((socket) => {
  let text = ''
  let data = null
  const say = (line) => socket.write(line + '\r\n')
  say('220 test')
  socket.on('error', () => {})
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1')
    for (let end; (end = text.indexOf('\r\n')) >= 0; ) {
      const line = text.slice(0, end)
      text = text.slice(end + 2)
      if (data !== null) {
        if (line !== '.') data += line.replace(/^\.\./, '.') + '\n'
        else {
          letters.push(data)
          data = null
          say('250 taken')
          ring()
        }
        continue
      }
      const word = line.slice(0, 4).toUpperCase()
      if (word === 'DATA') {
        data = ''
        say('354 go on')
      } else if (word === 'QUIT') {
        say('221 bye')
        socket.end()
      } else say('250 ok')
    }
  })
})
await new Promise((done) => mail.listen(given.smtp, '127.0.0.1', done))

const plain = (letter) => {
  const whole = letter.replace(/=\n/g, '')
  const coded = [...letter.matchAll(/base64\n(?:[^\n]+\n)*\n([A-Za-z0-9+/=\n]+)/g)]
  return whole + coded.map((part) => Buffer.from(part[1], 'base64').toString()).join('\n')
}
const token = async () => {
  while (true) {
    for (const letter of letters) {
      const found = plain(letter).match(/\b[A-Z2-7]{5}-[A-Z2-7]{5}\b/)
      if (found && letter.includes(given.email)) return found[0]
    }
    await new Promise((again) => (ring = again))
  }
}

const from = new AtpAgent({ service: given.from })
const to = new AtpAgent({ service: given.to })
await from.login({ identifier: given.identifier, password: given.password })
const did = from.session.did
const before = (await from.com.atproto.server.checkAccountStatus()).data

// A new account with the old identity, deactivated.
const service = (await to.com.atproto.server.describeServer()).data
const auth = (
  await from.com.atproto.server.getServiceAuth({ aud: service.did, lxm: 'com.atproto.server.createAccount' })
).data.token
const refused = await to.com.atproto.server
  .createAccount({ handle: given.handle, email: given.email, password: given.newPassword, did })
  .then(() => 'accepted')
  .catch((error) => error.error ?? error.message)
await to.com.atproto.server.createAccount(
  { handle: given.handle, email: given.email, password: given.newPassword, did },
  { headers: { authorization: `Bearer ${auth}` }, encoding: 'application/json' },
)
await to.login({ identifier: did, password: given.newPassword })
const early = await to.com.atproto.server
  .activateAccount()
  .then(() => 'accepted')
  .catch((error) => error.message)

// Repo, blobs, preferences.
const repo = await from.com.atproto.sync.getRepo({ did })
await to.com.atproto.repo.importRepo(repo.data, { encoding: 'application/vnd.ipld.car' })
let blobs = 0
for (let cursor; ; ) {
  const missing = (await to.com.atproto.repo.listMissingBlobs({ cursor, limit: 100 })).data
  for (const { cid } of missing.blobs) {
    const blob = await from.com.atproto.sync.getBlob({ did, cid })
    await to.com.atproto.repo.uploadBlob(blob.data, { encoding: blob.headers['content-type'] })
    blobs += 1
  }
  cursor = missing.cursor
  if (!cursor || missing.blobs.length === 0) break
}
const preferences = (await from.app.bsky.actor.getPreferences()).data
await to.app.bsky.actor.putPreferences(preferences)
const between = (await to.com.atproto.server.checkAccountStatus()).data

// The identity.
const wanted = (await to.com.atproto.identity.getRecommendedDidCredentials()).data
await from.com.atproto.identity.requestPlcOperationSignature()
const mailed = await token()
const wrongToken = await from.com.atproto.identity
  .signPlcOperation({ ...wanted, token: 'AAAAA-AAAAA' })
  .then(() => 'accepted')
  .catch((error) => error.error ?? error.message)
const signed = (await from.com.atproto.identity.signPlcOperation({ ...wanted, token: mailed })).data
const twice = await from.com.atproto.identity
  .signPlcOperation({ ...wanted, token: mailed })
  .then(() => 'accepted')
  .catch((error) => error.error ?? error.message)
const spoiled = { ...signed.operation, rotationKeys: signed.operation.rotationKeys.slice().reverse().concat([]) }
spoiled.services = { atproto_pds: { ...spoiled.services.atproto_pds, endpoint: 'https://elsewhere.example.com' } }
const spoilt = await to.com.atproto.identity
  .submitPlcOperation({ operation: spoiled })
  .then(() => 'accepted')
  .catch((error) => error.message)
await to.com.atproto.identity.submitPlcOperation({ operation: signed.operation })

await to.com.atproto.server.activateAccount()
await from.com.atproto.server.deactivateAccount({})
const after = (await to.com.atproto.server.checkAccountStatus()).data

// The account works where it is now, and what others see there verifies.
const post = await to.post({ text: 'I have moved', createdAt: new Date().toISOString() })
const head = (await to.com.atproto.sync.getLatestCommit({ did })).data
const car = (await to.com.atproto.sync.getRepo({ did })).data
const verified = await verifyRepoCar(car, did, wanted.verificationMethods.atproto)
check(verified.commit.rev === head.rev, 'head and rev differ')
check(verified.creates.some((made) => post.uri.endsWith(made.rkey)), 'the post is not in the repo')
const kept = (await to.app.bsky.actor.getPreferences()).data
const old = (await from.com.atproto.sync.getRepoStatus({ did })).data
const now = (await to.com.atproto.sync.getRepoStatus({ did })).data

console.log(
  JSON.stringify({
    did, before, early, refused, between, blobs, wrongToken, twice, spoilt, after, head, post,
    records: verified.creates.length, preferences, kept, old, now, operation: signed.operation, wanted,
  }),
)
mail.close()
process.exit(0)
