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

/// Before a folder's name: leave this one.
const KEEP: &str = "keep ";
/// Reads folder names until our end closes its input, waits for our children to be gone, removes. Only
/// folders of the rig: a name that does not look like one is passed over.
const JANITOR_SCRIPT: &str = r#"
    keep=:
    while read -r line; do
        case $line in
            "keep "*) keep=$keep${line#keep }: ;;
            */tollbridge-rig-*) set -- "$@" "$line" ;;
        esac
    done
    for pause in 0.5 1; do
        sleep $pause
        for folder in "$@"; do
            case $keep in *:"$folder":*) ;; *) rm -rf -- "$folder" ;; esac
        done
    done"#;

/// An own folder under the system's temporary folder, removed on drop.
#[derive(Debug)]
pub struct TempDir {
    path: PathBuf,
    kept: bool,
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
        if !keeps() {
            tell_janitor(&format!("{}", path.display()))?;
        }
        Ok(Self { path, kept: false })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does not remove it after all.
    pub fn keep(&mut self) {
        self.kept = true;
        // Without the shell it would only be left behind, which is what is wanted.
        tell_janitor(&format!("{KEEP}{}", self.path.display())).ok();
    }

    /// A path inside it.
    #[must_use]
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if keeps() {
            eprintln!("rig: kept {}", self.path.display());
        } else {
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

fn keeps() -> bool {
    std::env::var_os("RIG_KEEP").is_some_and(|value| value == "1")
}

fn tell_janitor(line: &str) -> Result<()> {
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
    writeln!(input, "{line}").doing(|| "tell sh what to remove".into())
}
