//! The part of `wave doctor` that macOS adds.

/// No facility has levels.
pub const fn levels(_: &str) -> Vec<()> {
    Vec::new()
}

/// What follows the facilities.
pub fn remarks() -> Vec<String> {
    vec![
        "\nNo part of wave has ever been run on a Mac by those who wrote it: tests/macos.sh tries all of it, and docs/macos.md \
         says what holds.\n"
            .to_owned(),
    ]
}
