//! The plots, from the figures.

use super::figures::Figure;
use super::scenario::SCENARIOS;
use super::svg::{Anchor, Page, Scale};
use super::timeline::{self, Moment};

/// Told apart by readers who confuse red and green (Okabe and Ito).
const COLORS: [(&str, &str); 3] = [("fixed", "#0072b2"), ("ewma", "#d55e00"), ("phi", "#009e73")];

const PANEL: (f64, f64) = (300.0, 210.0);
const COLUMNS: usize = 2;
const MARGIN: (f64, f64) = (70.0, 70.0);
const GAP: (f64, f64) = (40.0, 62.0);

/// Detection times beyond are left out, in seconds.
const LONGEST_S: u32 = 20;

/// What stands for no false failure at all.
const NONE: f64 = 1e-4;

/// What a profile is called where there is little room.
fn initial(profile: &str) -> String {
    profile.chars().take(1).flat_map(char::to_uppercase).collect()
}

fn color(method: &str) -> &'static str {
    COLORS.iter().find(|(name, _)| *name == method).map_or("#000000", |(_, color)| color)
}

/// False failures against detection time, a panel for each scenario.
#[must_use]
pub fn trade_off(figures: &[Figure]) -> String {
    let rows = SCENARIOS.len().div_ceil(COLUMNS);
    let width = MARGIN.0 + COLUMNS as f64 * (PANEL.0 + GAP.0);
    let height = MARGIN.1 + rows as f64 * (PANEL.1 + GAP.1) + 10.0;
    let mut page = Page::new(width, height);
    page.words((MARGIN.0, 24.0), "False failures against detection time", 16, Anchor::Start);
    legend(&mut page, (MARGIN.0, 44.0));
    for (index, scenario) in SCENARIOS.iter().enumerate() {
        let column = (index % COLUMNS) as f64;
        let row = (index / COLUMNS) as f64;
        let corner = (MARGIN.0 + column * (PANEL.0 + GAP.0), MARGIN.1 + row * (PANEL.1 + GAP.1));
        let own: Vec<_> = figures
            .iter()
            .filter(|figure| figure.scenario == scenario.name)
            .filter(|figure| figure.detection_p50_ms <= LONGEST_S * 1_000)
            .collect();
        trade_off_panel(&mut page, corner, scenario.name, &own);
    }
    page.finish()
}

fn legend(page: &mut Page, (mut x, y): (f64, f64)) {
    for (method, color) in COLORS {
        page.line(&[(x, y - 4.0), (x + 18.0, y - 4.0)], color);
        page.dot((x + 9.0, y - 4.0), color, false);
        page.words((x + 24.0, y), method, 12, Anchor::Start);
        x += 70.0;
    }
    page.diamond((x + 6.0, y - 4.0), "#374151", false);
    page.words((x + 17.0, y), "profile: Default, Local, Same-dc, Wan, Ewma", 12, Anchor::Start);
    page.dot((x + 282.0, y - 4.0), "#374151", true);
    page.words((x + 292.0, y), "hollow: none seen", 12, Anchor::Start);
}

fn trade_off_panel(page: &mut Page, corner: (f64, f64), title: &str, figures: &[&Figure]) {
    let across = Scale {
        values: (0.0, LONGEST_S.into()),
        places: (corner.0, corner.0 + PANEL.0),
        is_logarithmic: false,
    };
    let up = Scale { values: (NONE, 1e3), places: (corner.1 + PANEL.1, corner.1), is_logarithmic: true };
    page.words((corner.0, corner.1 - 6.0), title, 13, Anchor::Start);
    for seconds in [0.0, 5.0, 10.0, 15.0, 20.0] {
        let x = across.place(seconds);
        page.rule((x, corner.1), (x, corner.1 + PANEL.1), false);
        page.words((x, corner.1 + PANEL.1 + 14.0), &format!("{seconds:.0}"), 11, Anchor::Middle);
    }
    for (rate, label) in [
        (1e3, "1000"),
        (1e2, "100"),
        (1e1, "10"),
        (1.0, "1"),
        (1e-1, "0.1"),
        (1e-2, "0.01"),
        (1e-3, "0.001"),
        (NONE, "none"),
    ] {
        let y = up.place(rate);
        page.rule((corner.0, y), (corner.0 + PANEL.0, y), false);
        page.words((corner.0 - 5.0, y + 4.0), label, 11, Anchor::End);
    }
    let middle = (corner.0 + PANEL.0 / 2.0, corner.1 + PANEL.1 + 28.0);
    page.words(middle, "seconds from death to failed, median", 11, Anchor::Middle);
    page.words_upwards((corner.0 - 46.0, corner.1 + PANEL.1 / 2.0), "false failures a node-hour", 11);
    let place = |figure: &Figure| {
        let rate = figure.failures_per_node_hour().max(NONE);
        (across.place(f64::from(figure.detection_p50_ms) / 1e3), up.place(rate))
    };
    for (method, color) in COLORS {
        let sweep: Vec<_> =
            figures.iter().filter(|figure| figure.method == method && figure.profile.is_empty()).collect();
        page.line(&sweep.iter().map(|figure| place(figure)).collect::<Vec<_>>(), color);
        for figure in sweep {
            page.dot(place(figure), color, figure.false_failures == 0);
        }
    }
    let named = figures.iter().filter(|figure| !figure.profile.is_empty());
    for (index, figure) in named.enumerate() {
        let (x, y) = place(figure);
        page.diamond((x, y), color(&figure.method), figure.false_failures == 0);
        // Neighbours get their letters at different heights.
        let lift = 9.0 + 11.0 * (index % 3) as f64;
        page.words((x, y - lift), &initial(&figure.profile), 11, Anchor::Middle);
    }
}

/// The failed timeout of one node over time, a line for each method.
#[must_use]
pub fn timeline(moments: &[Moment]) -> String {
    let (size, corner) = ((760.0, 300.0), (60.0, 64.0));
    let mut page = Page::new(corner.0 + size.0 + 20.0, corner.1 + size.1 + 50.0);
    page.words((corner.0, 24.0), "Silence until a node has failed, as it learns", 16, Anchor::Start);
    let seconds = f64::from(timeline::SECONDS);
    let across =
        Scale { values: (0.0, seconds), places: (corner.0, corner.0 + size.0), is_logarithmic: false };
    let up = Scale { values: (0.0, 22.0), places: (corner.1 + size.1, corner.1), is_logarithmic: false };
    let mut x = corner.0;
    for (method, color) in COLORS {
        page.line(&[(x, 40.0), (x + 18.0, 40.0)], color);
        page.words((x + 24.0, 44.0), method, 12, Anchor::Start);
        x += 70.0;
    }
    let ends = timeline::PHASES.iter().skip(1).map(|phase| phase.0).chain([timeline::SECONDS]);
    for ((from, name), end) in timeline::PHASES.into_iter().zip(ends) {
        let (left, right) = (across.place(f64::from(from)), across.place(f64::from(end)));
        if name != "quiet" {
            page.shade((left, corner.1), (right - left, size.1));
        }
        page.words((f64::midpoint(left, right), corner.1 + 14.0), name, 11, Anchor::Middle);
    }
    let pause = across.place(f64::from(timeline::PAUSE_S.0));
    page.rule((pause, corner.1 + 20.0), (pause, corner.1 + size.1), true);
    page.words(
        (pause + 4.0, corner.1 + 34.0),
        &format!("hangs {:.0} s", timeline::PAUSE_S.1),
        11,
        Anchor::Start,
    );
    for minute in (0..=timeline::SECONDS / 60).step_by(2) {
        let x = across.place(f64::from(minute) * 60.0);
        page.rule((x, corner.1 + size.1), (x, corner.1 + size.1 + 4.0), false);
        page.words((x, corner.1 + size.1 + 17.0), &minute.to_string(), 11, Anchor::Middle);
    }
    for timeout in [0.0, 5.0, 10.0, 15.0, 20.0] {
        let y = up.place(timeout);
        page.rule((corner.0, y), (corner.0 + size.0, y), false);
        page.words((corner.0 - 6.0, y + 4.0), &format!("{timeout:.0} s"), 11, Anchor::End);
    }
    let middle = (corner.0 + size.0 / 2.0, corner.1 + size.1 + 36.0);
    page.words(middle, "minutes since it was first heard, one heartbeat a second", 11, Anchor::Middle);
    for (line, (_, color)) in COLORS.into_iter().enumerate() {
        let points: Vec<_> = moments
            .iter()
            .map(|moment| {
                let timeout_s = f64::from(moment.timeouts_ms[line]) / 1e3;
                (across.place(f64::from(moment.second)), up.place(timeout_s))
            })
            .collect();
        page.line(&points, color);
    }
    page.finish()
}
