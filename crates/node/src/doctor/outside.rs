//! Checks of DNS, the directory and the clock.

use std::time::Duration;

use p2pds_net::{Client, GetOptions, NetError};

use super::{Check, Verdict};
use crate::alerts;
use crate::alerts::heartbeat::Heart;
use crate::config::Config;
use crate::node::engine::net_config;
use crate::words;

/// A clock that is further off than this makes trouble: revisions and tokens carry times.
const CLOCK_SLACK: u64 = 30;
/// How long the directory may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn all(config: &Config) -> Vec<Check> {
    let client = match Client::new(net_config(config)) {
        Ok(client) => client,
        Err(error) => {
            return vec![Check::bad(
                Verdict::Failed,
                "network",
                error.to_string(),
                "nothing can be fetched",
                "look at the settings in [network]",
            )];
        }
    };
    let mut checks = vec![dns(&client).await];
    checks.extend(directory(&client, config).await);
    checks.extend(alert_mail(config).await);
    checks.extend(heartbeat(config).await);
    checks
}

/// Whether alerts can be mailed, if they are to be.
async fn alert_mail(config: &Config) -> Option<Check> {
    const NAME: &str = "alert-mail";
    let (to, outcome) = alerts::check_mail(config).await?;
    Some(match outcome {
        Ok(()) => Check::ok(NAME, format!("alerts go to {to}, and the mail server takes this node's login")),
        Err(why) => Check::bad(
            Verdict::Failed,
            NAME,
            format!("alerts are to go to {to}, and cannot: {why}"),
            "nobody gets a mail when something is wrong",
            "set mail.smtp_url (PDS_EMAIL_SMTP_URL=smtps://USER:PASSWORD@mail.example.com), or P2PDS_SMTP_HOST, _USER and \
             _PASSWORD, and mail.from; then `p2pds alerts test`",
        ),
    })
}

/// Whether the monitor can be reached, if one is set. It is told nothing.
async fn heartbeat(config: &Config) -> Option<Check> {
    const NAME: &str = "heartbeat";
    let heart = Heart::new(config)?;
    Some(match heart.check().await {
        Ok(()) => Check::ok(NAME, "the monitor's host answers"),
        Err(error) => Check::bad(
            Verdict::Failed,
            NAME,
            format!("{error:#}"),
            "the monitor raises an alarm though this node is well, or none when it is gone",
            "check alerts.heartbeat_url; for a monitor in your own network set alerts.heartbeat_private; then `p2pds \
             alerts test`",
        ),
    })
}

async fn dns(client: &Client) -> Check {
    const NAME: &str = "dns";
    match client.txt("_atproto.bsky.app").await {
        Ok(_) | Err(NetError::NoSuchHost { .. }) => Check::ok(NAME, "name servers answer"),
        Err(error) => Check::bad(
            Verdict::Failed,
            NAME,
            error.to_string(),
            "handles cannot be resolved and hosts cannot be found",
            "check /etc/resolv.conf and the firewall (UDP and TCP port 53), or name servers with --nameservers 1.1.1.1",
        ),
    }
}

async fn directory(client: &Client, config: &Config) -> Vec<Check> {
    const NAME: &str = "plc-directory";
    let base = config.network.plc_url.trim_end_matches('/');
    let options = GetOptions { deadline: PATIENCE, retries: 0, ..GetOptions::metadata() };
    match client.get(&format!("{base}/_health"), &options).await {
        Ok(response) => {
            let clock = clock(response.header("date"), words::now());
            vec![Check::ok(NAME, format!("{base} answers")), clock]
        }
        Err(error) => vec![
            Check::bad(
                Verdict::Failed,
                NAME,
                format!("{base}: {error}"),
                "accounts cannot be added, and key changes are not seen; what is stored stays readable",
                format!(
                    "try `curl -v {base}/_health`; open outgoing port 443 in the firewall; check --plc-url"
                ),
            ),
            Check::skipped("clock", "no server answered to compare with"),
        ],
    }
}

/// Compares this clock with a server's `Date` header.
fn clock(date: Option<&str>, now: i64) -> Check {
    const NAME: &str = "clock";
    let Some(theirs) = date.and_then(words::parse_http_date) else {
        return Check::skipped(NAME, "the directory sent no date to compare with");
    };
    let off = theirs.abs_diff(now);
    if off <= CLOCK_SLACK {
        return Check::ok(NAME, format!("within {CLOCK_SLACK} s of the directory's"));
    }
    let direction = if now > theirs { "ahead of" } else { "behind" };
    Check::bad(
        Verdict::Failed,
        NAME,
        format!(
            "this machine's clock is {} {direction} the directory's",
            words::duration(Duration::from_secs(off))
        ),
        "new revisions look as if they came from the future and are refused; times in reports are wrong",
        "sudo timedatectl set-ntp true, then `timedatectl` must say: System clock synchronized: yes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks() {
        let date = Some("Sat, 21 Nov 2026 10:26:00 GMT");
        let at = 1_795_256_760;
        assert_eq!(clock(date, at).verdict, Verdict::Ok);
        assert_eq!(clock(date, at + 30).verdict, Verdict::Ok);
        let ahead = clock(date, at + 600);
        assert_eq!(ahead.verdict, Verdict::Failed);
        assert_eq!(ahead.what, "this machine's clock is 10 min ahead of the directory's");
        assert_eq!(clock(None, at).verdict, Verdict::Skipped);
    }
}
