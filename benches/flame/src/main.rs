//! `tollbridge-flame TITLE < perf-script.txt > picture.svg`: each stack as wide as the share of time that was spent in
//! it, what calls below what is called.

use std::io::{self, BufReader, BufWriter};
use std::process::ExitCode;

use inferno::collapse::Collapse;
use inferno::collapse::perf::Folder;
use inferno::flamegraph::{self, Options};

fn main() -> ExitCode {
    let Some(title) = std::env::args().nth(1) else {
        eprintln!(
            "tollbridge-flame: TITLE is missing: tollbridge-flame TITLE < perf-script.txt > picture.svg"
        );
        return ExitCode::from(64);
    };
    match draw(&title) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tollbridge-flame: {error}");
            ExitCode::FAILURE
        }
    }
}

fn draw(title: &str) -> io::Result<()> {
    let mut folded = Vec::new();
    Folder::default().collapse(BufReader::new(io::stdin().lock()), &mut folded)?;
    let mut options = Options::default();
    title.clone_into(&mut options.title);
    flamegraph::from_reader(&mut options, &folded[..], BufWriter::new(io::stdout().lock()))
        .map_err(io::Error::other)
}
