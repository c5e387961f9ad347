//! Just enough of SVG: a page, panels with axes, lines, marks and words.
//!
//! Numbers are written with one decimal, so the same figures give the same bytes.

use std::fmt::Write;

/// An SVG document under way.
#[derive(Clone, Debug)]
pub struct Page {
    body: String,
    width: f64,
    height: f64,
}

/// Where words are anchored.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    /// The point is where they begin.
    Start,
    /// In the middle.
    Middle,
    /// At their end.
    End,
}

/// How a value becomes a place.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Least value, greatest value.
    pub values: (f64, f64),
    /// Their places.
    pub places: (f64, f64),
    /// By ratio instead of by difference.
    pub is_logarithmic: bool,
}

impl Scale {
    /// The place of a value; what is outside stays at the edge.
    #[must_use]
    pub fn place(&self, value: f64) -> f64 {
        let measure = |value: f64| if self.is_logarithmic { libm::log10(value) } else { value };
        let (least, greatest) = (measure(self.values.0), measure(self.values.1));
        let part = ((measure(value) - least) / (greatest - least)).clamp(0.0, 1.0);
        self.places.0 + part * (self.places.1 - self.places.0)
    }
}

const GREY: &str = "#6b7280";

impl Page {
    /// A white page.
    #[must_use]
    pub fn new(width: f64, height: f64) -> Self {
        Self { body: String::new(), width, height }
    }

    /// Words at a point.
    pub fn words(&mut self, (x, y): (f64, f64), text: &str, size: u32, anchor: Anchor) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = text.replace('&', "&amp;").replace('<', "&lt;");
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"{anchor}\">{text}</text>"
        ));
    }

    /// Words that go up.
    pub fn words_upwards(&mut self, (x, y): (f64, f64), text: &str, size: u32) {
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" font-size=\"{size}\" text-anchor=\"middle\" \
             transform=\"rotate(-90 {x:.1} {y:.1})\">{text}</text>"
        ));
    }

    /// A straight line, thin and grey; `dashed` for what is a border and no measure.
    pub fn rule(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), dashed: bool) {
        let dash = if dashed { " stroke-dasharray=\"3 3\"" } else { "" };
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{GREY}\" stroke-width=\"0.6\" \
             stroke-opacity=\"0.6\"{dash}/>"
        ));
    }

    /// A line through points.
    pub fn line(&mut self, points: &[(f64, f64)], color: &str) {
        let mut path = String::new();
        for (x, y) in points {
            let _ = write!(path, "{x:.1},{y:.1} ");
        }
        self.add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.8\" stroke-linejoin=\"round\"/>",
            path.trim_end()
        ));
    }

    /// A round mark; hollow for what is a bound and no value.
    pub fn dot(&mut self, (x, y): (f64, f64), color: &str, hollow: bool) {
        let fill = if hollow { "white" } else { color };
        self.add(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{fill}\" stroke=\"{color}\" stroke-width=\"1.4\"/>"
        ));
    }

    /// A mark with four corners, larger than a dot.
    pub fn diamond(&mut self, (x, y): (f64, f64), color: &str, hollow: bool) {
        let fill = if hollow { "white" } else { color };
        let (left, right, top, bottom) = (x - 5.5, x + 5.5, y - 5.5, y + 5.5);
        self.add(format_args!(
            "<path d=\"M{left:.1} {y:.1}L{x:.1} {top:.1}L{right:.1} {y:.1}L{x:.1} {bottom:.1}Z\" fill=\"{fill}\" \
             stroke=\"{color}\" stroke-width=\"1.6\"/>"
        ));
    }

    /// A shaded stretch.
    pub fn shade(&mut self, (x, y): (f64, f64), (width, height): (f64, f64)) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"#e5e7eb\" \
             fill-opacity=\"0.7\"/>"
        ));
    }

    fn add(&mut self, element: std::fmt::Arguments<'_>) {
        let _ = writeln!(self.body, "{element}");
    }

    /// The document.
    #[must_use]
    pub fn finish(self) -> String {
        let Self { body, width, height } = self;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" width=\"{width:.0}\" \
             height=\"{height:.0}\" font-family=\"Helvetica, Arial, sans-serif\" fill=\"#111827\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
        )
    }
}
