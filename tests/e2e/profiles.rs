//! Profiles that differ from those that are built in.

use std::process::Command;

use tollbridge_rig::TempDir;

/// What `tollbridge gateway show` prints, each `from` made a `to`, in a file.
pub fn profile(folder: &TempDir, name: &str, changes: &[(&str, &str)]) -> String {
    let mut show = Command::new(env!("CARGO_BIN_EXE_tollbridge"));
    let shown = show.args(["gateway", "show", name]).output().unwrap();
    let mut text = String::from_utf8(shown.stdout).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in\n{text}");
        text = text.replace(from, to);
    }
    let file = folder.join("profile.toml");
    std::fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}
