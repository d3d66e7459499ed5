//! Checks of a hosting node: whether the world reaches it under its name, and whether its accounts are what they say.
//!
//! They run where the hosted accounts are open: in the node, or in the command when no node runs. What goes through the
//! proxy is only asked when a node runs, because else nobody answers there.

mod accounts;
mod door;
mod proxies;

use p2pds_host::Host;
use p2pds_xrpc::OwnCall;

use super::{Check, Verdict};
use crate::config::Config;
use crate::hosting;

/// All of them, in the order in which they are best mended.
pub(crate) async fn all(
    config: &Config,
    host: &Host,
    node_runs: Option<&OwnCall>,
    offline: bool,
) -> Vec<Check> {
    let mut checks = vec![settings(host)];
    if offline {
        return checks;
    }
    checks.extend(door::names(config, host).await);
    if let Some(own) = node_runs {
        checks.extend(door::reached(config, host, own).await);
    } else {
        checks.push(Check::skipped("public-url", "no node runs: start it (`p2pds serve`), then ask again"));
    }
    checks.extend(accounts::all(config, host).await);
    checks.push(mail(host).await);
    checks.extend(relays(host).await);
    checks
}

/// Settings that do not let a host be made at all.
pub(crate) fn unusable(config: &Config) -> Option<Check> {
    if !hosting::wanted(config, false) {
        return None;
    }
    let failure = hosting::host_config(config).err()?;
    let fix = failure.hint.unwrap_or_default();
    Some(Check::bad(Verdict::Failed, "hosting", failure.message, "the node does not start", fix))
}

fn settings(host: &Host) -> Check {
    const NAME: &str = "hosting";
    let config = host.config();
    if config.dev_mode {
        return Check::bad(
            Verdict::Warning,
            NAME,
            format!("development mode: accounts are hosted at {}", config.public_url),
            "identities made so are of no use on the network, and requests to this machine are allowed",
            "for a real host unset hosting.dev_mode (PDS_DEV_MODE) and set http.hostname (PDS_HOSTNAME)",
        );
    }
    Check::ok(NAME, format!("accounts are hosted at {}, as {}", config.public_url, config.service_did))
}

async fn mail(host: &Host) -> Check {
    const NAME: &str = "mail";
    const WHY: &str = "nobody can confirm an address, get back into an account, or move away by e-mail";
    match host.check_mail_server().await {
        Ok(true) => Check::ok(NAME, "the mail server takes this node's login"),
        Ok(false) => Check::bad(
            Verdict::Warning,
            NAME,
            "no mail server is set: mail waits here, and `p2pds mail list` shows it",
            WHY,
            "set PDS_EMAIL_SMTP_URL=smtps://USER:PASSWORD@mail.example.com (or P2PDS_SMTP_HOST, _USER, _PASSWORD) and \
             PDS_EMAIL_FROM_ADDRESS, then `p2pds mail test YOU@EXAMPLE.COM`",
        ),
        Err(error) => Check::bad(
            Verdict::Failed,
            NAME,
            format!("the mail server does not take mail: {}", error.why),
            WHY,
            "check host, port and login (mail.smtp_url, or mail.smtp_host, _port, _tls, _user, _password); many hosters \
             close port 25 and leave 465 (tls) and 587 (starttls) open",
        ),
    }
}

async fn relays(host: &Host) -> Vec<Check> {
    const NAME: &str = "relays";
    const WHY: &str = "posts of this host reach nobody elsewhere";
    let relays = match host.look_at_relays().await {
        Ok(relays) => relays,
        Err(error) => return vec![Check::skipped(NAME, error.message)],
    };
    if relays.is_empty() {
        let what = "no relay is told of this host";
        let fix = "set firehose.relays (PDS_CRAWLERS=https://bsky.network)";
        return vec![if host.config().dev_mode {
            Check::ok(NAME, what)
        } else {
            Check::bad(Verdict::Warning, NAME, what, WHY, fix)
        }];
    }
    relays
        .into_iter()
        .map(|relay| {
            match relay.last_error {
                None if relay.notes.unclear.is_some() => {
                    Check::skipped(NAME, format!("{}: {}; ask again in a minute", relay.relay, relay.state))
                }
                None => Check::ok(NAME, format!("{}: {}", relay.relay, relay.state)),
                Some(error) => Check::bad(
                    Verdict::Failed,
                    NAME,
                    format!("{}: {error}", relay.relay),
                    WHY,
                    format!(
                        "mend public-url and websocket above first; the relay is asked again by itself, and at once after a \
                         restart. By hand: curl -X POST {}/xrpc/com.atproto.sync.requestCrawl -H 'content-type: \
                         application/json' -d '{{\"hostname\":\"{}\"}}'",
                        relay.relay,
                        host.config().hostname
                    ),
                ),
            }
        })
        .collect()
}
