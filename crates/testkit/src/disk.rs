//! File systems for tests: one that loses power, one that fills up. Both need root.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::need;

/// Runs a system command; its standard error is the error.
fn run(program: &str, args: &[&str]) -> Result<()> {
    let output = Command::new(program).args(args).output().with_context(|| format!("start {program}"))?;
    if !output.status.success() {
        bail!("{program} {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().context("a path that is not UTF-8")
}

/// An ext4 file system in a file, mounted through a loop device, whose power can be cut.
#[derive(Debug)]
pub struct PowerDisk {
    mount: PathBuf,
    image: PathBuf,
    dir: tempfile::TempDir,
}

impl PowerDisk {
    /// Makes and mounts one of `mib` MiB; `None` (said on standard output) where that is not possible.
    ///
    /// # Errors
    /// The directory for it cannot be made.
    pub fn new(mib: u64) -> Result<Option<Self>> {
        if !need::root() {
            need::skip("power cuts need root for mount and the shutdown ioctl", false);
            return Ok(None);
        }
        for (program, flag) in [("mkfs.ext4", "-V"), ("mount", "-V"), ("python3", "-V")] {
            if !need::have(program, flag) {
                need::skip(&format!("power cuts need {program}"), false);
                return Ok(None);
            }
        }
        let dir = tempfile::tempdir()?;
        let (mount, image) = (dir.path().join("mount"), dir.path().join("image"));
        std::fs::create_dir(&mount)?;
        std::fs::File::create(&image)?.set_len(mib << 20)?;
        run("mkfs.ext4", &["-q", "-F", text(&image)?])?;
        let disk = Self { mount, image, dir };
        if let Err(error) = disk.mount() {
            need::skip(&format!("power cuts need a loop device: {error:#}"), false);
            return Ok(None);
        }
        Ok(Some(disk))
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.mount
    }

    fn mount(&self) -> Result<()> {
        run("mount", &["-o", "loop", text(&self.image)?, text(&self.mount)?])
    }

    /// Gets ready to cut the power: the cut itself then takes microseconds.
    ///
    /// # Errors
    /// The helper script does not start.
    pub fn arm(&self) -> Result<Armed> {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/powercut.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(&self.mount).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().context("start python3")?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("pipe")?).read_line(&mut line)?;
        ensure!(line.trim() == "ready", "the helper script said {line:?}");
        Ok(Armed { child })
    }

    /// Cuts the power: what is not on the disk by now never will be, and all calls fail from here on.
    ///
    /// # Errors
    /// The ioctl fails.
    pub fn cut(&self) -> Result<()> {
        self.arm()?.cut()
    }

    /// The machine starts again: unmounts what is dead and mounts what is on the disk. Whoever had files open
    /// must be gone.
    ///
    /// # Errors
    /// Still in use, or the file system cannot be mounted any more.
    pub fn restart(&self) -> Result<()> {
        run("umount", &[text(&self.mount)?])?;
        self.mount()
    }
}

/// A hand on the switch.
#[derive(Debug)]
pub struct Armed {
    child: Child,
}

impl Armed {
    /// Cuts the power.
    ///
    /// # Errors
    /// The ioctl fails.
    pub fn cut(mut self) -> Result<()> {
        self.child.stdin.take().context("pipe")?.write_all(b"\n")?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the shutdown ioctl failed: {status}");
        Ok(())
    }
}

impl Drop for PowerDisk {
    fn drop(&mut self) {
        if let Ok(mount) = text(&self.mount) {
            let _ = run("umount", &[mount]);
        }
        let _ = std::fs::remove_file(&self.image);
        let _ = self.dir.path();
    }
}

/// A file system in memory with a size that can be changed.
#[derive(Debug)]
pub struct SmallDisk {
    dir: tempfile::TempDir,
}

impl SmallDisk {
    /// Mounts one of `kib` KiB; `None` (said on standard output) where that is not possible.
    ///
    /// # Errors
    /// The directory for it cannot be made.
    pub fn new(kib: u64) -> Result<Option<Self>> {
        if !need::root() {
            need::skip("full disks need root for mount", false);
            return Ok(None);
        }
        let dir = tempfile::tempdir()?;
        if let Err(error) =
            run("mount", &["-t", "tmpfs", "-o", &format!("size={kib}k"), "tmpfs", text(dir.path())?])
        {
            need::skip(&format!("full disks need tmpfs: {error:#}"), false);
            return Ok(None);
        }
        Ok(Some(Self { dir }))
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Gives it another size; what is stored stays.
    ///
    /// # Errors
    /// The mount cannot be changed.
    pub fn resize(&self, kib: u64) -> Result<()> {
        run("mount", &["-o", &format!("remount,size={kib}k"), text(self.dir.path())?])
    }

    /// KiB in use.
    ///
    /// # Errors
    /// The system does not say.
    pub fn used(&self) -> Result<u64> {
        let stat = rustix::fs::statvfs(self.dir.path())?;
        Ok((stat.f_blocks - stat.f_bfree) * stat.f_frsize / 1024)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        if let Ok(path) = text(self.dir.path()) {
            let _ = run("umount", &[path]);
        }
    }
}

/// Copies a directory tree.
///
/// # Errors
/// Any file cannot be read or written.
pub fn copy_tree(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else if kind.is_file() {
            std::fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_loses_what_was_not_synced_and_keeps_what_was() {
        let Some(disk) = PowerDisk::new(32).unwrap() else { return };
        let (kept, lost) = (disk.path().join("kept"), disk.path().join("lost"));
        std::fs::write(&kept, b"synced").unwrap();
        std::fs::File::open(&kept).unwrap().sync_all().unwrap();
        std::fs::File::open(disk.path()).unwrap().sync_all().unwrap();
        std::fs::write(&lost, b"not synced").unwrap();
        disk.cut().unwrap();
        assert!(std::fs::write(disk.path().join("late"), b"x").is_err(), "calls fail after the cut");
        disk.restart().unwrap();
        assert_eq!(std::fs::read(&kept).unwrap(), b"synced");
        assert_ne!(std::fs::read(&lost).unwrap_or_default(), b"not synced");
    }

    #[test]
    fn a_small_disk_fills_up_and_grows() {
        let Some(disk) = SmallDisk::new(256).unwrap() else { return };
        let file = disk.path().join("file");
        assert!(std::fs::write(&file, vec![1; 300 << 10]).is_err());
        disk.resize(1024).unwrap();
        std::fs::write(&file, vec![1; 300 << 10]).unwrap();
        assert!(disk.used().unwrap() >= 300);
    }
}
