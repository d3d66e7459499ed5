//! The `p2pds` binary. Everything is in the library beside it.

fn main() -> std::process::ExitCode {
    p2pds::run()
}
