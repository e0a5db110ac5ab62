//! Child processes that never outlive their parent. Each is in a process group of its own and is sent
//! SIGKILL by the kernel when we end, however we end. It is deliberately not a supervisor: what ends
//! stays ended until the test starts it again.

use crate::error::{Doing, Error, Result};
use crate::temp::TempDir;
use crate::wait::{lock, wait_for};
pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process, kill_process_group};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::time::Duration;

/// Gives a process a disk of its own: a mount that nobody else sees, with what was in the folder, and gone with the
/// process. Sticky or not, the folder's owner and rights stay.
const ON_A_DISK: &str = r#"set -e
keep=$(mktemp -d)
cp -a "$1/." "$keep"
mount -t tmpfs -o "size=$2" none "$1"
cp -a "$keep/." "$1"
rm -rf "$keep"
shift 2
exec "$@""#;

/// What to start, and how.
#[derive(Debug)]
pub struct Launch {
    name: String,
    program: OsString,
    args: Vec<OsString>,
    envs: Vec<(OsString, OsString)>,
    folder: Option<PathBuf>,
    log: Option<PathBuf>,
    stdout: Option<PathBuf>,
    user: Option<(u32, u32)>,
    disk: Option<(PathBuf, String)>,
}

impl Launch {
    /// A program, by path or by a name on `PATH`.
    pub fn new(program: impl AsRef<OsStr>) -> Self {
        let program = program.as_ref().to_owned();
        let name = Path::new(&program).file_name().unwrap_or(&program);
        Self {
            name: name.to_string_lossy().into_owned(),
            program,
            args: Vec::new(),
            envs: Vec::new(),
            folder: None,
            log: None,
            stdout: None,
            user: None,
            disk: None,
        }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// One environment variable, beside the inherited ones.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.envs.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// The folder it runs in.
    #[must_use]
    pub fn folder(mut self, folder: impl AsRef<Path>) -> Self {
        self.folder = Some(folder.as_ref().to_owned());
        self
    }

    /// The file that stdout and stderr are appended to. Without it: a file in a temporary folder.
    #[must_use]
    pub fn log(mut self, file: impl AsRef<Path>) -> Self {
        self.log = Some(file.as_ref().to_owned());
        self
    }

    /// A file of its own for stdout; the log then has stderr alone.
    #[must_use]
    pub fn stdout(mut self, file: impl AsRef<Path>) -> Self {
        self.stdout = Some(file.as_ref().to_owned());
        self
    }

    /// Another user to run as (user id, group id); only root can.
    #[must_use]
    pub fn user(mut self, user: (u32, u32)) -> Self {
        self.user = Some(user);
        self
    }

    /// A small disk of its own in place of this folder, of a size such as `64m`, with a copy of what the folder
    /// holds. It lives as long as the process; others see it below `/proc/PID/root`. Only root can.
    #[must_use]
    pub fn disk(mut self, folder: impl AsRef<Path>, size: &str) -> Self {
        self.disk = Some((folder.as_ref().to_owned(), size.to_owned()));
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When a file cannot be opened or the program cannot be found.
    pub fn start(self) -> Result<Process> {
        let program = find_program(&self.program)?;
        let (log, own_folder) = match &self.log {
            Some(log) => (log.clone(), None),
            None => {
                let folder = TempDir::new(&self.name)?;
                (folder.join("log"), Some(folder))
            }
        };
        let errors = append(&log)?;
        let output = match &self.stdout {
            Some(file) => append(file)?,
            None => errors.try_clone().doing(|| "share the log".into())?,
        };
        // `setpriv` asks the kernel for SIGKILL at our end and then becomes the program: same pid.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some((folder, size)) = &self.disk {
            command.args(["--", "unshare", "--mount", "sh", "-c", ON_A_DISK, "sh"]);
            command.arg(folder).arg(size).args(["setpriv", "--pdeathsig", "KILL"]);
        }
        if let Some((user, group)) = self.user {
            command.arg(format!("--reuid={user}")).arg(format!("--regid={group}"));
            command.arg("--clear-groups");
        }
        command.arg("--").arg(program).args(&self.args).envs(self.envs.iter().map(|(n, v)| (n, v)));
        command.process_group(0).stdin(Stdio::null()).stdout(output).stderr(errors);
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        let child = spawn(command).doing(|| format!("start {}", self.name))?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pid = pid.ok_or_else(|| Error::new("a child without a process id"))?;
        Ok(Process { name: self.name, pid, log, child: Mutex::new(child), _folder: own_folder })
    }

    /// Starts it, waits for its end, and gives what it wrote, where it ended well.
    ///
    /// # Errors
    /// When it cannot be started, does not end within `limit`, or ends with another code than 0.
    pub fn run(self, limit: Duration) -> Result<String> {
        let process = self.start()?;
        let status = process.wait(limit)?;
        if status.success() {
            return Ok(process.log());
        }
        Err(Error::new(format!("{} ended with {status}:\n{}", process.name, process.log_tail())))
    }
}

/// A folder as a process sees it that has a disk of its own.
pub(crate) fn seen_from_outside(pid: u32, folder: &Path) -> Option<PathBuf> {
    Some(Path::new("/proc").join(pid.to_string()).join("root").join(folder.strip_prefix("/").ok()?))
}

/// A child process. Dropping it kills it, with its group.
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: Pid,
    log: PathBuf,
    child: Mutex<Child>,
    _folder: Option<TempDir>,
}

impl Process {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// The file it writes to.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// All it has written so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(&self.log)
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// The last 20 lines it has written.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Waits until it answers; one that has ended will not. `name` stands in a sentence.
    pub(crate) fn wait_ready(
        &self,
        name: &str,
        limit: Duration,
        mut answers: impl FnMut() -> bool,
    ) -> Result<()> {
        wait_for(&format!("{name} to answer"), limit, || match self.exit_status() {
            Some(status) => {
                let tail = self.log_tail();
                Err(Error::new(format!("{name} ended with {status}; its log ends with:\n{tail}")))
            }
            None => Ok(answers().then_some(())),
        })
    }

    /// Sends a signal to this process alone.
    ///
    /// # Errors
    /// When it has ended already.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        // Held over the kill, so that the number cannot be given to another process in between.
        let mut child = lock(&self.child);
        if let Ok(Some(status)) = child.try_wait() {
            return Err(Error::new(format!("{} has ended already, with {status}", self.name)));
        }
        kill_process(self.pid, signal).doing(|| format!("signal {}", self.name))
    }

    /// Stops it where it stands (SIGSTOP).
    ///
    /// # Errors
    /// When it has ended already.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Errors
    /// When it has ended already.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// SIGKILL to it and its group; returns once it is gone. Nothing happens where it has ended.
    pub fn kill(&self) {
        let mut child = lock(&self.child);
        if let Ok(None) = child.try_wait() {
            kill_process_group(self.pid, Signal::KILL).ok();
            child.wait().ok();
        }
    }

    /// SIGTERM, then waits for the end.
    ///
    /// # Errors
    /// When it had ended already, or has not ended within `limit`.
    pub fn terminate(&self, limit: Duration) -> Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        self.wait(limit)
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it has not ended within `limit`; it goes on running then.
    pub fn wait(&self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}; its log ends with:\n{}", self.name, self.log_tail());
        wait_for(&what, limit, || Ok(self.exit_status()))
    }

    /// How it ended, where it has.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        lock(&self.child).try_wait().ok().flatten()
    }

    /// Whether it runs (also when paused).
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.exit_status().is_none()
    }

    /// Waits for a line of its log that contains `needle`, and gives it.
    ///
    /// # Errors
    /// When there is none within `limit`, or the process ends without one.
    pub fn wait_for_line(&self, needle: &str, limit: Duration) -> Result<String> {
        let what = format!("{needle:?} from {}", self.name);
        let found = wait_for(&what, limit, || {
            let status = self.exit_status();
            if let Some(line) = self.log().lines().find(|line| line.contains(needle)) {
                return Ok(Some(line.to_owned()));
            }
            status.map_or(Ok(None), |status| {
                Err(Error::new(format!("{} ended with {status} before {needle:?}", self.name)))
            })
        });
        found.map_err(|e| Error::new(format!("{e}; its log ends with:\n{}", self.log_tail())))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Sends a signal to a process that another one started.
///
/// # Errors
/// When there is none of this id.
pub fn signal_pid(pid: i32, signal: Signal) -> Result<()> {
    let pid = Pid::from_raw(pid).ok_or_else(|| Error::new("0 is no process"))?;
    kill_process(pid, signal).doing(|| format!("signal process {}", pid.as_raw_nonzero()))
}

fn append(file: &Path) -> Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(file);
    opened.doing(|| format!("open {}", file.display()))
}

/// The program's full path: `setpriv` would only report a missing one as exit code 127.
fn find_program(program: &OsStr) -> Result<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return match path.exists() {
            true => std::path::absolute(path).doing(|| format!("find {}", path.display())),
            false => Err(Error::new(format!("{} does not exist", path.display()))),
        };
    }
    on_path(program).ok_or_else(|| {
        Error::new(format!("{} is not on PATH; `make install` helps", path.display()))
    })
}

/// Where a program of this name is on `PATH`.
pub(crate) fn on_path(program: impl AsRef<OsStr>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let mut places = std::env::split_paths(&path).map(|folder| folder.join(program.as_ref()));
    places.find(|place| place.is_file())
}

type Order = (Command, mpsc::Sender<std::io::Result<Child>>);

/// The kernel's "kill at the parent's end" follows the *thread* that made the child: a test's own
/// thread ends with the test. So one thread, which lives as long as the process, makes them all.
fn spawn(command: Command) -> std::io::Result<Child> {
    static SPAWNER: OnceLock<Mutex<mpsc::Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::spawn(move || {
            for (mut command, answer) in inbox {
                drop(answer.send(command.spawn()));
            }
        });
        Mutex::new(orders)
    });
    let (answer, child) = mpsc::channel();
    let gone = || std::io::Error::other("the thread that starts processes is gone");
    lock(spawner).send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}
