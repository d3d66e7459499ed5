//! Gives the binary its version: the package's, and the commit when the builder names one in
//! `P2PDS_COMMIT`. Reads nothing else, so it works from a tarball and never reruns needlessly.

fn main() {
    println!("cargo:rerun-if-env-changed=P2PDS_COMMIT");
    println!("cargo:rerun-if-changed=build.rs");
    let version = env!("CARGO_PKG_VERSION");
    let version = match std::env::var("P2PDS_COMMIT") {
        Ok(commit) if commit.chars().all(|c| c.is_ascii_alphanumeric()) && !commit.is_empty() => {
            format!("{version} ({})", commit.chars().take(12).collect::<String>())
        }
        _ => version.to_owned(),
    };
    println!("cargo:rustc-env=P2PDS_VERSION={version}");
}
