//! Fenced blocks of a Markdown page. No Markdown beyond that.

/// A fenced block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    pub language: String,
    pub text: String,
}

impl Block {
    pub fn first_line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }
}

/// All blocks in their order.
pub fn of(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.trim_start().strip_prefix("```"), open.take()) {
            (Some(language), None) => {
                open = Some(Block { language: language.trim().to_owned(), text: String::new() });
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text += line;
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    assert_eq!(open, None, "a block is not closed");
    blocks
}

#[test]
fn blocks_are_told_apart() {
    let page = "a\n```sh\nls\n\nls -l\n```\nb\n```toml\nx = 1\n```\n";
    let block = |language: &str, text: &str| Block { language: language.into(), text: text.into() };
    assert_eq!(of(page), [block("sh", "ls\n\nls -l\n"), block("toml", "x = 1\n")]);
}
