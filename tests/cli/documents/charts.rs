//! The picture of the figures in README.md: made of the tables in `benches/README.md`, so it shows what they say.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use super::is_committed;

/// A chart: its title, the header of its table, and the rows that it shows, with what they are called in the picture.
struct Chart {
    title: &'static str,
    table: &'static str,
    rows: &'static [(&'static str, &'static str)],
}

const CHARTS: [Chart; 3] = [
    Chart {
        title: "14 system calls",
        table: "| geometric mean | without the null call | all calls |",
        rows: &[("wave, strict", "wave"), ("native, sealed", "native, sealed"), ("Wasmtime", "Wasmtime")],
    },
    Chart {
        title: "SQLite on a file",
        table: "| total | of native | of Wasmtime |",
        rows: &[("wave, strict", "wave"), ("Wasmtime", "Wasmtime")],
    },
    Chart {
        title: "11 programs that compute",
        table: "| geometric mean of the programs | of native |",
        rows: &[("wave, strict", "wave"), ("Wasmtime", "Wasmtime")],
    },
];

/// What precedes the machine, date and versions in the text.
const MEASURED: &str = "The picture: ";

// Sizes in pixels.
const PANEL: f64 = 300.0;
const NAMES: f64 = 100.0;
const LONGEST: f64 = 150.0;
const HEIGHT: f64 = 150.0;
const TOP: f64 = 30.0;
const LINE: f64 = 24.0;

#[test]
fn the_picture_shows_the_tables() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("benches/README.md")).expect("it is there");
    is_committed("docs/pictures/speed.svg", &picture(&text));
}

/// The first number of a row in the table that begins with this header.
fn figure(text: &str, table: &str, row: &str) -> f64 {
    let (_, rest) = text.split_once(table).unwrap_or_else(|| panic!("no table `{table}`"));
    let mut rows = rest.lines().skip(1).take_while(|line| line.starts_with('|'));
    let start = format!("| {row} | ");
    let found = rows.find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("`{table}` has no `{row}`"));
    let number = found.split(' ').next().expect("a cell");
    number.parse().unwrap_or_else(|_| panic!("`{row}`: {number} is no number"))
}

fn picture(text: &str) -> String {
    let (_, measured) = text.split_once(MEASURED).expect("the text says where it was measured");
    let (measured, _) = measured.split_once("\n\n").expect("a paragraph");
    let measured = measured.replace('\n', " ");
    let mut left = 0.0;
    let mut charts = String::new();
    for chart in &CHARTS {
        draw(&mut charts, left, chart, text);
        left += PANEL;
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {left} {HEIGHT}\" width=\"{left}\" height=\"{HEIGHT}\" \
         role=\"img\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n\
         <title>Time as a multiple of native: less is better</title>\n\
         <rect width=\"{left}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n{charts}\
         <text x=\"8\" y=\"122\">Time as a multiple of native, less is better. The dashed line is native.</text>\n\
         <text x=\"8\" y=\"140\" font-size=\"10\" fill=\"#666\">{measured}</text>\n</svg>\n"
    )
}

/// Bars from the left, as long as the figures say, and a line where native is.
fn draw(svg: &mut String, left: f64, chart: &Chart, text: &str) {
    let rows: Vec<_> = chart.rows.iter().map(|(row, name)| (*name, figure(text, chart.table, row))).collect();
    let greatest = rows.iter().map(|(_, figure)| *figure).fold(1.0, f64::max);
    let (start, heading) = (left + NAMES, left + 8.0);
    let mut line = |text: String| writeln!(svg, "{text}").expect("a string takes it");
    line(format!("<text x=\"{heading}\" y=\"18\" font-weight=\"bold\">{}</text>", chart.title));
    let mut top = TOP;
    for (name, figure) in rows {
        let length = figure / greatest * LONGEST;
        let (end, base) = (start + length + 5.0, top + 12.0);
        let colour = if name == "wave" { "#1f6feb" } else { "#b8bec6" };
        line(format!("<text x=\"{}\" y=\"{base}\" text-anchor=\"end\">{name}</text>", start - 5.0));
        line(format!("<rect x=\"{start}\" y=\"{top}\" width=\"{length:.1}\" height=\"16\" fill=\"{colour}\"/>"));
        line(format!("<text x=\"{end:.1}\" y=\"{base}\">{figure:.2}</text>"));
        top += LINE;
    }
    let native = start + LONGEST / greatest;
    line(format!("<path d=\"M{native:.1} 26V{top}\" stroke=\"#222\" stroke-dasharray=\"3 2\"/>"));
}
