//! The node as it is built for measuring: what `cargo build --release` makes, with this workspace's profile.

fn main() -> std::process::ExitCode {
    p2pds::run()
}
