//! Folders that vanish with the process, however it ends. A folder is removed when its owner is dropped;
//! what is never dropped (statics, a killed test run) is removed by a small shell that waits for our end.
//! With `RIG_KEEP=1` nothing is removed. It is deliberately not a general temporary-file library.

use crate::error::{Doing, Result};
use crate::wait::lock;
use std::fs;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

static NEXT: AtomicU32 = AtomicU32::new(0);
static JANITOR: Mutex<Option<ChildStdin>> = Mutex::new(None);

/// Reads folder names until our end closes its input, waits for our children to be gone, removes.
const JANITOR_SCRIPT: &str = "while read -r folder; do set -- \"$@\" \"$folder\"; done; \
     sleep 0.5; rm -rf -- \"$@\"; sleep 1; rm -rf -- \"$@\"";

/// An own folder under the system's temporary folder, removed on drop.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
}

impl TempDir {
    /// Makes a folder whose name contains `name`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = format!("tollbridge-rig-{}-{number}-{name}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        // An earlier process with our number may have left one behind.
        drop(fs::remove_dir_all(&path));
        fs::create_dir_all(&path).doing(|| format!("make {}", path.display()))?;
        if !keep() {
            tell_janitor(&path)?;
        }
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A path inside it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if keep() {
            eprintln!("rig: kept {}", self.path.display());
        } else {
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

fn keep() -> bool {
    std::env::var_os("RIG_KEEP").is_some_and(|value| value == "1")
}

fn tell_janitor(folder: &Path) -> Result<()> {
    let mut janitor = lock(&JANITOR);
    if janitor.is_none() {
        *janitor = Command::new("sh")
            .args(["-c", JANITOR_SCRIPT, "rig-janitor"])
            // An interrupt from the terminal is for us; it must outlive us to do its work.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .doing(|| "start sh".into())?
            .stdin
            .take();
    }
    let Some(input) = janitor.as_mut() else { return Ok(()) };
    writeln!(input, "{}", folder.display()).doing(|| "tell sh what to remove".into())
}
