"""A mail server for tests: says its port, then one line of JSON for each mail. Addresses say what it answers:
busy-N@ is told to come back N times, nobody@ is refused for good."""
import asyncore, json, smtpd, sys

class Server(smtpd.SMTPServer):
    tries = {}

    def process_message(self, peer, mailfrom, rcpttos, data, **kwargs):
        to = rcpttos[0]
        seen = Server.tries[to] = Server.tries.get(to, 0) + 1
        if to.startswith("nobody@"):
            return "550 no such mailbox"
        if to.startswith("busy-") and seen <= int(to.split("@")[0].split("-")[1]):
            return "451 come back later"
        print(json.dumps({"from": mailfrom, "to": to, "data": data.decode()}), flush=True)

server = Server(("127.0.0.1", 0), None)
print(server.socket.getsockname()[1], flush=True)
asyncore.loop(timeout=0.2)
