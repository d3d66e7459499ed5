//! Whose node it is, as far as the program goes: what it prints, and what its commands do.

use crate::home::Home;

fn code(address: &str) -> &str {
    address.split_once("/claim?code=").unwrap().1
}

#[test]
fn a_fresh_node_prints_how_it_is_claimed() {
    let home = Home::new();
    let before = home.json(&["claim"])["address"].as_str().unwrap().to_owned();
    assert!(before.starts_with("http://127.0.0.1:"), "{before}");
    let node = home.node();
    let line = node.banner.lines().find(|line| line.trim_start().starts_with("Claim")).unwrap();
    let printed = line.split_whitespace().nth(1).unwrap().to_owned();
    assert!(printed.starts_with(&format!("http://{}/claim?code=", node.address)), "{printed}");
    assert_ne!(code(&printed), code(&before), "each start has a code of its own");
    let path = format!("/claim?code={}", code(&printed));
    let (status, page) = node.get(&path, &node.address);
    assert_eq!(status, 200);
    assert!(page.contains("name=\"csrf\"") && page.contains(code(&printed)), "{page}");
    let (status, _) = node.get(&path, "evil.example");
    assert_eq!(status, 421);
    // Another, from the running node, under its address.
    let next = home.json(&["claim"])["address"].as_str().unwrap().to_owned();
    assert!(next.starts_with(&format!("http://{}/", node.address)), "{next}");
    assert_ne!(code(&next), code(&printed));
    let (status, log) = node.stop();
    assert_eq!(status, Some(0));
    for address in [&before, &printed, &next] {
        assert!(!log.contains(code(address)), "{log}");
    }
    assert!(!home.data().join("keys").exists(), "nothing was sealed, so there is no key");
}
