//! The rig's command line: `rig install`. It deliberately leaves building to `make`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["install"] => match tollbridge_rig::cache::kafka() {
            Ok(_) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("rig: {e}");
                ExitCode::from(69)
            }
        },
        _ => {
            eprintln!("usage: rig install");
            ExitCode::from(64)
        }
    }
}
