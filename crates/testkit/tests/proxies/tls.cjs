// TLS on port 465 before a server of this machine that speaks without: node tls.cjs CERTIFICATE KEY ADDRESS PORT
const { readFileSync } = require('node:fs')
const { connect } = require('node:net')
const { createServer } = require('node:tls')

const [certificate, key, address, port] = process.argv.slice(2)
createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (client) => {
  const server = connect(Number(port), '127.0.0.1')
  client.on('error', () => server.destroy())
  server.on('error', () => client.destroy())
  client.pipe(server).pipe(client)
}).listen(465, address)
