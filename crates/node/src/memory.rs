//! The allocator, and how soon it gives unused memory back to the system.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

/// Takes less memory than the C library's when many threads allocate, and gives it back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Says how many milliseconds unused memory stays with the program. The allocator reads it before `main`, and nowhere else.
const DELAY: &str = "MIMALLOC_PURGE_DELAY";
/// Instead of a second, in which a busy node piles up a third more than it needs.
const DELAY_MS: &str = "10";

/// Begins the program anew in the same process with that set, unless the environment sets it. Returns when it was set, or
/// cannot be: the program goes on as it is then.
pub(crate) fn begin_anew() {
    let mut args = std::env::args_os();
    let (Ok(program), Some(name), None) = (std::env::current_exe(), args.next(), std::env::var_os(DELAY))
    else {
        return;
    };
    // Under a loader (`ld.so p2pds serve`) that is what would be begun anew, without knowing what to load.
    if program.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"ld")) {
        return;
    }
    let mut again = Command::new(program);
    again.arg0(name);
    // Comes back only with an error.
    let _ = again.args(args).env(DELAY, DELAY_MS).exec();
}
