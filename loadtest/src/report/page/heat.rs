//! Who fed whom, as a map of squares.

use std::fmt::Write;

use super::bytes_text;
use crate::report::Fed;

const SIZE: f64 = 300.0;
const LEFT: f64 = 36.0;
const TOP: f64 = 16.0;
/// Between the origin's column and the peers'.
const GAP: f64 = 4.0;

/// What a row and a column are.
pub(super) fn caption(fed: &Fed) -> String {
    let rows = "Rows received, columns sent; the first column is the origin. Stronger is more.";
    match fed.nodes_per_row {
        1 => rows.to_owned(),
        nodes => format!("{rows} Each square stands for {nodes} nodes."),
    }
}

/// The map.
pub(super) fn map(fed: &Fed) -> String {
    let rows = fed.rows.len();
    let most = fed.rows.iter().flatten().copied().max().unwrap_or(0).max(1);
    let side = (SIZE - GAP) / (rows as f64 + 1.0);
    let (width, height) = (LEFT + SIZE, TOP + side * rows as f64);
    let mut svg = format!(
        "<svg class=\"heat\" viewBox=\"0 0 {width:.1} {height:.1}\" role=\"img\" aria-label=\"Bytes by receiver and sender\">\n"
    );
    for (receiver, row) in fed.rows.iter().enumerate() {
        for (column, &bytes) in row.iter().enumerate().filter(|&(_, &bytes)| bytes > 0) {
            let x = LEFT + side * column as f64 + if column > 0 { GAP } else { 0.0 };
            let y = TOP + side * receiver as f64;
            let sender = if column == 0 { "origin".to_owned() } else { label(fed, column - 1) };
            let class = if column == 0 { "origin" } else { "peers" };
            // The root spreads the many small amounts, which a straight scale would leave white.
            let strength = 0.06 + 0.94 * (bytes as f64 / most as f64).sqrt();
            let edge = (side - 0.6).max(side * 0.8);
            let _ = writeln!(
                svg,
                "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{edge:.2}\" height=\"{edge:.2}\" \
                 fill-opacity=\"{strength:.2}\"><title>{} to {}: {}</title></rect>",
                sender,
                label(fed, receiver),
                bytes_text(bytes)
            );
        }
    }
    let every = rows.div_ceil(10).max(1);
    for number in (0..rows).step_by(every) {
        let at = side * (number as f64 + 0.5);
        let name = number * fed.nodes_per_row as usize;
        let (x, y) = (LEFT + GAP + side + at, TOP + at + 3.0);
        let _ = writeln!(svg, "<text class=\"mid\" x=\"{x:.1}\" y=\"{:.1}\">{name}</text>", TOP - 5.0);
        let _ = writeln!(svg, "<text class=\"end\" x=\"{:.1}\" y=\"{y:.1}\">{name}</text>", LEFT - 5.0);
    }
    svg += "</svg>\n";
    svg
}

/// Name of a row.
fn label(fed: &Fed, row: usize) -> String {
    let first = row * fed.nodes_per_row as usize;
    match fed.nodes_per_row as usize {
        1 => format!("node {first}"),
        nodes => format!("nodes {first} to {}", first + nodes - 1),
    }
}
