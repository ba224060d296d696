//! Copies a file, and lists a directory with the size and the kind of what is in it, sorted.

use std::io::{BufRead, Write};
use std::{env, fs, io, process};

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match *words {
        ["copy", from, to] => fs::copy(from, to).map(|length| println!("{length} bytes")),
        ["list", directory] => list(directory),
        ["lines"] => lines(),
        _ => {
            eprintln!("what?");
            process::exit(2);
        }
    };
    if let Err(error) = done {
        eprintln!("{error}");
        process::exit(1);
    }
}

fn list(directory: &str) -> io::Result<()> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let about = entry.metadata()?;
        let kind = if about.is_dir() { "directory" } else if about.is_symlink() { "link" } else { "file" };
        let length = if about.is_dir() { 0 } else { about.len() };
        found.push(format!("{} {kind} {length}", entry.file_name().display()));
    }
    found.sort();
    found.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// Numbers the lines of standard input.
fn lines() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for (number, line) in io::stdin().lock().lines().enumerate() {
        writeln!(output, "{} {}", number + 1, line?)?;
    }
    Ok(())
}
