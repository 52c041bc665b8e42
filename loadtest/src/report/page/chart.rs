//! Line charts as SVG: axes, grid, lines, marks, and values that show under the pointer.

use std::fmt::Write;

use super::escape;

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 270.0;
const LEFT: f64 = 46.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 24.0;
const BOTTOM: f64 = 34.0;
/// About so many ticks on an axis.
const TICKS: f64 = 5.0;

/// A line through points of (seconds, value).
pub(super) struct Line {
    /// Class in the style sheet, which gives the colour.
    pub(super) class: &'static str,
    pub(super) name: &'static str,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether the value holds until the next point.
    pub(super) is_stepped: bool,
}

/// A moment to mark.
pub(super) struct Mark {
    pub(super) at_s: f64,
    pub(super) name: String,
}

/// What a chart shows.
pub(super) struct Chart {
    /// Unit of the values, for the axis.
    pub(super) unit: &'static str,
    /// Least upper end of the value axis.
    pub(super) value_max: f64,
    pub(super) lines: Vec<Line>,
    pub(super) marks: Vec<Mark>,
    /// Text under the pointer: from this many seconds on.
    pub(super) hints: Vec<(f64, String)>,
}

/// Where values lie on the picture.
struct Scale {
    end_s: f64,
    value_end: f64,
}

impl Scale {
    fn x(&self, at_s: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * (at_s / self.end_s).clamp(0.0, 1.0)
    }

    fn y(&self, value: f64) -> f64 {
        HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value / self.value_end).clamp(0.0, 1.0)
    }
}

impl Chart {
    /// The picture and its legend.
    pub(super) fn draw(&self) -> String {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let marks = self.marks.iter().map(|mark| mark.at_s);
        let end_s = points().map(|point| point.0).chain(marks).fold(0.1, f64::max);
        let value_max = points().map(|point| point.1).fold(self.value_max, f64::max);
        let value_end = (value_max / step(value_max)).ceil() * step(value_max);
        let scale = Scale { end_s: end_s * 1.01, value_end };
        let names: Vec<_> = self.lines.iter().map(|line| line.name).collect();
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{} over time\">\n",
            escape(&names.join(", "))
        );
        self.draw_axes(&scale, &mut svg);
        self.draw_marks(&scale, &mut svg);
        for line in &self.lines {
            let _ = writeln!(svg, "<path class=\"curve {}\" d=\"{}\"/>", line.class, path(line, &scale));
        }
        self.draw_hints(&scale, &mut svg);
        svg += "</svg>\n<p class=\"legend\">";
        for line in &self.lines {
            let _ = write!(svg, "<span class=\"{}\"><i></i>{}</span>", line.class, escape(line.name));
        }
        svg += "</p>\n";
        svg
    }

    fn draw_axes(&self, scale: &Scale, svg: &mut String) {
        let (left, right, bottom) = (LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM);
        for tick in ticks(scale.value_end) {
            let (y, text_y) = (scale.y(tick), scale.y(tick) + 4.0);
            let text = number(tick);
            let _ = writeln!(svg, "<path class=\"rule\" d=\"M{left} {y:.1}H{right}\"/>");
            let _ =
                writeln!(svg, "<text class=\"end\" x=\"{:.1}\" y=\"{text_y:.1}\">{text}</text>", left - 6.0);
        }
        for tick in ticks(scale.end_s) {
            let (x, text) = (scale.x(tick), number(tick));
            let _ =
                writeln!(svg, "<text class=\"mid\" x=\"{x:.1}\" y=\"{:.1}\">{text}</text>", bottom + 16.0);
        }
        let _ = writeln!(svg, "<path class=\"axis\" d=\"M{left} {bottom}H{right}\"/>");
        let _ = writeln!(svg, "<text x=\"2\" y=\"10\">{}</text>", escape(self.unit));
        let _ = writeln!(svg, "<text class=\"end\" x=\"{right}\" y=\"{:.1}\">seconds</text>", bottom + 30.0);
    }

    fn draw_marks(&self, scale: &Scale, svg: &mut String) {
        for (number, mark) in self.marks.iter().enumerate() {
            let x = scale.x(mark.at_s);
            // Names stand to the left of their line, one below the other so that near ones stay readable.
            let (text_x, text_y) = (x - 5.0, HEIGHT - BOTTOM - 8.0 - 14.0 * number as f64);
            let _ = writeln!(svg, "<path class=\"mark\" d=\"M{x:.1} {TOP}V{:.1}\"/>", HEIGHT - BOTTOM);
            let name = escape(&mark.name);
            let _ =
                writeln!(svg, "<text class=\"end halo\" x=\"{text_x:.1}\" y=\"{text_y:.1}\">{name}</text>");
        }
    }

    /// Invisible bars that carry a text each: browsers show it under the pointer without a script.
    fn draw_hints(&self, scale: &Scale, svg: &mut String) {
        let height = HEIGHT - TOP - BOTTOM;
        for (number, (from_s, text)) in self.hints.iter().enumerate() {
            let until_s = self.hints.get(number + 1).map_or(scale.end_s, |next| next.0);
            let (x, width) = (scale.x(*from_s), scale.x(until_s) - scale.x(*from_s));
            let text = escape(text);
            let _ = writeln!(
                svg,
                "<rect class=\"hint\" x=\"{x:.1}\" y=\"{TOP}\" width=\"{width:.1}\" height=\"{height}\"><title>{text}</title></rect>"
            );
        }
    }
}

fn path(line: &Line, scale: &Scale) -> String {
    let mut path = String::new();
    for (number, &(at_s, value)) in line.points.iter().enumerate() {
        let (x, y) = (scale.x(at_s), scale.y(value));
        let _ = match (number, line.is_stepped) {
            (0, _) => write!(path, "M{x:.1} {y:.1}"),
            (_, false) => write!(path, "L{x:.1} {y:.1}"),
            (_, true) => write!(path, "H{x:.1}V{y:.1}"),
        };
    }
    path
}

/// Distance of ticks: 1, 2 or 5 times a power of ten.
fn step(end: f64) -> f64 {
    let rough = (end / TICKS).max(1e-9);
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0].into_iter().find(|factor| factor * power >= rough).unwrap_or(10.0);
    factor * power
}

fn ticks(end: f64) -> impl Iterator<Item = f64> {
    let step = step(end);
    (0..=(end / step + 1e-6) as u32).map(move |number| f64::from(number) * step)
}

fn number(value: f64) -> String {
    if value >= 10.0 || value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        let check = |end: f64, expected: &[f64]| {
            let found: Vec<f64> = ticks(end).collect();
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9), "{end}: {found:?}");
            assert_eq!(found.len(), expected.len(), "{end}: {found:?}");
        };
        check(100.0, &[0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        check(31.0, &[0.0, 10.0, 20.0, 30.0]);
        check(0.9, &[0.0, 0.2, 0.4, 0.6, 0.8]);
        check(420.0, &[0.0, 100.0, 200.0, 300.0, 400.0]);
    }
}
