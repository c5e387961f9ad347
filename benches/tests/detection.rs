//! The committed plots show the committed figures, and the figures are what the simulator says.

use pulsegate_benches::detection::figures::from_csv;
use pulsegate_benches::detection::{contest, plots, scenario, timeline, trial};

const FIGURES: &str = include_str!("../../docs/detection/figures.csv");

#[test]
fn committed_plots_show_the_committed_figures() {
    let figures = from_csv(FIGURES).unwrap();
    assert_eq!(plots::trade_off(&figures), include_str!("../../docs/detection/trade-off.svg"));
    assert_eq!(plots::timeline(&timeline::run()), include_str!("../../docs/detection/timeline.svg"));
}

/// Method: one cheap line of each method is simulated again. All of them: `detection --check`.
#[test]
fn committed_figures_are_what_the_simulator_says() {
    let figures = from_csv(FIGURES).unwrap();
    let scenario = scenario::named("loss 10 %").unwrap();
    for (method, threshold) in [("fixed", 4.0), ("ewma", 4.0), ("phi", 4.0)] {
        let is_meant = |figure: &&_| {
            let figure: &pulsegate_benches::detection::figures::Figure = figure;
            figure.scenario == scenario.name && figure.method == method && figure.threshold == threshold
        };
        let committed = figures.iter().find(is_meant).unwrap();
        let profile = contest::bare(method, threshold).unwrap();
        let again = trial::Trial::run(scenario, &profile, committed.node_hours, contest::SEED);
        assert_eq!(
            (again.false_suspicions, again.false_failures, again.detection_ms_at(500)),
            (committed.false_suspicions, committed.false_failures, committed.detection_p50_ms),
            "{method}: run `cargo run --release -p pulsegate-benches --bin detection`"
        );
    }
}
