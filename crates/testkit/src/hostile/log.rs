//! Logs of operations that a directory gives out, as data: what is wrong with each, everything else is as it should be.

use data_encoding::BASE64URL_NOPAD;
use p2pds_crypto::{PrivateKey, Signer};
use p2pds_ipld::cbor::encode;
use p2pds_ipld::{Cid, json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::madeup::MadeUp;

/// A log that is not what it should be. The true one has two operations: see [`true_log`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogLie {
    /// A third operation that another key signed.
    ForgedOperation,
    /// A third operation without a signature.
    UnsignedOperation,
    /// A tombstone that another key signed.
    ForgedTombstone,
    /// A third operation that follows one that never was.
    UnknownPrev,
    /// Another account's log.
    Foreign,
    /// Only the first operation: the second is withheld.
    Shorter,
    /// Another second operation, rightly signed, in place of the one that is known.
    Fork,
    /// The two operations in the wrong order.
    Reversed,
    /// The second operation twice.
    Repeated,
    /// The second operation changed after it was signed.
    Altered,
    /// The first operation changed after it was signed: the DID is another one's.
    OtherGenesis,
    /// No operations.
    Empty,
    /// A third operation, rightly signed, that moves the account to this host.
    Moved(String),
    /// The second operation marked as void.
    Nullified,
    /// The log in words.
    NoLog,
}

/// The log as it is: the first operation, and one that adds a name.
#[must_use]
pub fn true_log(account: &MadeUp) -> Vec<u8> {
    let log = [first(account), second(account)];
    written(&log)
}

impl LogLie {
    /// Builds it.
    #[must_use]
    pub fn build(&self, account: &MadeUp, other: &MadeUp) -> Vec<u8> {
        let (first, second) = (first(account), second(account));
        let third = |change: &dyn Fn(&mut Value)| {
            let mut operation = unsigned(&second["operation"]);
            operation["prev"] = second["cid"].clone();
            change(&mut operation);
            operation
        };
        let stranger = other.rotation();
        let same = third(&|_| ());
        let log = match self {
            Self::ForgedOperation => vec![first, second, entry(account, signed(same, stranger), 3)],
            Self::UnsignedOperation => vec![first, second, entry(account, same, 3)],
            Self::ForgedTombstone => {
                let tombstone = json!({"type": "plc_tombstone", "prev": second["cid"]});
                vec![first, second, entry(account, signed(tombstone, stranger), 3)]
            }
            Self::UnknownPrev => {
                let operation = third(&|op| op["prev"] = json!(Cid::of_cbor(b"never").to_string()));
                vec![first, second, entry(account, signed(operation, account.rotation()), 3)]
            }
            Self::Foreign => return true_log(other),
            Self::Shorter => vec![first],
            Self::Fork => {
                let mut operation = unsigned(&second["operation"]);
                operation["alsoKnownAs"] = json!([format!("at://{}", account.handle), "at://forked.test"]);
                vec![first, entry(account, signed(operation, account.rotation()), 2)]
            }
            Self::Reversed => vec![second, first],
            Self::Repeated => vec![first, second.clone(), second],
            Self::Altered => {
                let mut second = second;
                second["operation"]["alsoKnownAs"] = json!(["at://altered.test"]);
                vec![first, second]
            }
            Self::OtherGenesis => {
                let mut first = first;
                first["operation"]["alsoKnownAs"] = json!(["at://altered.test"]);
                vec![first, second]
            }
            Self::Empty => Vec::new(),
            Self::Moved(host) => {
                let operation = third(&|op| op["services"]["atproto_pds"]["endpoint"] = json!(host));
                vec![first, second, entry(account, signed(operation, account.rotation()), 3)]
            }
            Self::Nullified => {
                let mut second = second;
                second["nullified"] = json!(true);
                vec![first, second]
            }
            Self::NoLog => return b"\"there was one\"".to_vec(),
        };
        written(&log)
    }
}

fn first(account: &MadeUp) -> Value {
    let log: Value = serde_json::from_slice(&account.plc_log).expect("our own log");
    log[0].clone()
}

fn second(account: &MadeUp) -> Value {
    let first = first(account);
    let mut operation = unsigned(&first["operation"]);
    operation["prev"] = first["cid"].clone();
    operation["alsoKnownAs"] = json!([format!("at://{}", account.handle), "https://example.com"]);
    entry(account, signed(operation, account.rotation()), 2)
}

fn unsigned(operation: &Value) -> Value {
    let mut operation = operation.clone();
    operation.as_object_mut().expect("an operation").remove("sig");
    operation
}

fn cbor(value: &Value) -> Vec<u8> {
    encode(&json::from_json(value).expect("plain JSON"))
}

fn signed(mut operation: Value, key: &PrivateKey) -> Value {
    let sig = key.sign(&cbor(&operation)).expect("a key in memory signs");
    operation["sig"] = json!(BASE64URL_NOPAD.encode(&sig));
    operation
}

/// A line of the log, of the first day of a month.
fn entry(account: &MadeUp, operation: Value, month: u32) -> Value {
    json!({
        "did": account.did, "cid": Cid::of_cbor(&cbor(&operation)).to_string(), "operation": operation,
        "nullified": false, "createdAt": format!("2024-{month:02}-01T00:00:00.000Z"),
    })
}

fn written(log: &[Value]) -> Vec<u8> {
    serde_json::to_vec(log).expect("JSON")
}

#[cfg(test)]
mod tests {
    use p2pds_identity::plc::{parse_audit, validate_log};
    use p2pds_syntax::Did;

    use super::*;

    #[test]
    fn the_true_log_is_valid() {
        let account = MadeUp::new(1, "http://localhost:1");
        let did = Did::parse(&account.did).unwrap();
        let entries = parse_audit(&true_log(&account)).unwrap();
        assert_eq!(validate_log(&did, &entries).unwrap().entries().len(), 2);
    }
}
