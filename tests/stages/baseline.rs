//! What was counted before, and with what: another compiler, another valgrind or other vector instructions, for which
//! libraries have code of their own, count otherwise.

use std::fmt;
use std::process::Command;
use std::str::FromStr;

/// What a stage may cost beyond the baseline, in percent.
const MORE_MAX: u64 = 5;

/// With what something was counted.
#[derive(Debug, PartialEq, Eq)]
pub struct Made {
    pub rustc: String,
    pub valgrind: String,
    pub processor: String,
}

impl Made {
    pub fn here() -> Self {
        let said = |program: &str| {
            let output = Command::new(program).arg("--version").output();
            String::from_utf8(output.expect(program).stdout).unwrap().trim().to_owned()
        };
        Self {
            rustc: said("rustc"),
            valgrind: said("valgrind"),
            processor: format!(
                "{}{}",
                std::env::consts::ARCH,
                if has_avx2() { " with AVX2" } else { "" }
            ),
        }
    }
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}", self.rustc, self.valgrind, self.processor)
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}

/// Instructions a transaction, by stage.
pub struct Baseline {
    pub made: Made,
    pub counted: Vec<(String, u64)>,
}

impl Baseline {
    /// A table, and whether every stage keeps within what it may cost. Where something else counted, the table says so
    /// and nothing is held: the difference may be that of the tools.
    pub fn compare(&self, made: &Made, counted: &[(String, u64)]) -> (String, bool) {
        let mut table =
            format!("{:<12} {:>8} {:>8}  instructions a transaction\n", "stage", "now", "before");
        let mut is_held = true;
        let (mut all, mut all_before) = (0, 0);
        for (stage, now) in counted {
            let before =
                self.counted.iter().find(|(name, _)| name == stage).map(|(_, count)| *count);
            let verdict = match before {
                None => "is not in the baseline",
                Some(before) if *now * 100 > before * (100 + MORE_MAX) => "costs more",
                Some(before) if *now * 100 < before * (100 - MORE_MAX) => {
                    "costs less: write the baseline anew"
                }
                Some(_) => "",
            };
            // One that is cheaper than noted would hide that it becomes dearer again.
            is_held &= verdict.is_empty();
            all += now;
            all_before += before.unwrap_or_default();
            let before = before.map(|count| count.to_string()).unwrap_or_default();
            table += &format!("{stage:<12} {now:>8} {before:>8}  {verdict}\n");
        }
        table += &format!("{:<12} {all:>8} {all_before:>8}", "all");
        let is_comparable = *made == self.made;
        if !is_comparable {
            table += &format!(
                "\nnot held against the baseline, counted with\n{}\nwhere here is\n{made}",
                self.made
            );
        }
        (table, is_held || !is_comparable)
    }
}

impl fmt::Display for Baseline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.made)?;
        self.counted.iter().try_for_each(|(stage, count)| writeln!(f, "{stage} {count}"))
    }
}

impl FromStr for Baseline {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut lines = text.lines().map(str::to_owned);
        let (Some(rustc), Some(valgrind), Some(processor)) =
            (lines.next(), lines.next(), lines.next())
        else {
            return Err("three lines of what counted are missing".into());
        };
        let counted = lines.map(|line| {
            let (stage, count) = line.split_once(' ').ok_or_else(|| line.clone())?;
            Ok((stage.to_owned(), count.parse().map_err(|_| line.clone())?))
        });
        Ok(Self {
            made: Made { rustc, valgrind, processor },
            counted: counted.collect::<Result<_, String>>()?,
        })
    }
}
