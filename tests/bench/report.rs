//! The report: medians over the rounds, as a table for people or as JSON.

use std::fmt::Write as _;

use crate::load::Shape;
use crate::measure::{Figures, at};

/// All rounds of one system under one load.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Cell {
    /// The system.
    pub(crate) system: String,
    /// The load.
    #[serde(flatten)]
    pub(crate) shape: Shape,
    /// Messages a round.
    pub(crate) messages: usize,
    /// The figures of each round, in order.
    pub(crate) rounds: Vec<Figures>,
}

/// The medians of a cell.
struct Medians {
    accepted: f64,
    delivered: f64,
    cpu_ms: Option<f64>,
    memory: Option<f64>,
    p50: f64,
    p99: f64,
}

impl Cell {
    fn median(&self, of: impl Fn(&Figures) -> Option<f64>) -> Option<f64> {
        let mut values: Vec<f64> = self.rounds.iter().filter_map(of).collect();
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then(|| at(&values, 0.5))
    }

    fn medians(&self) -> Medians {
        let always = |of: fn(&Figures) -> f64| self.median(|f| Some(of(f))).unwrap_or_default();
        Medians {
            accepted: always(|f| f.accepted_per_second),
            delivered: always(|f| f.delivered_per_second),
            cpu_ms: self.median(|f| f.cpu_per_1000),
            memory: self.median(|f| f.memory_mib),
            p50: always(|f| f.wait_p50_us),
            p99: always(|f| f.wait_p99_us),
        }
    }

    fn faults(&self) -> (usize, usize, usize) {
        self.rounds
            .iter()
            .fold((0, 0, 0), |(lost, doubled, failed), f| {
                let strange = f.faults.strange;
                (
                    lost + f.faults.lost,
                    doubled + f.faults.doubled,
                    failed + f.failures + strange,
                )
            })
    }

    /// One line about one round, while the others are still to come.
    pub(crate) fn progress(&self, figures: &Figures) -> String {
        let Figures {
            accepted_per_second: accepted,
            delivered_per_second: delivered,
            failures,
            reason,
            ..
        } = figures;
        let (system, load) = (&self.system, load(self.shape));
        let rates =
            format!("{system}, {load}: {accepted:.0} accepted/s, {delivered:.0} delivered/s");
        match reason {
            None => rates,
            Some(reason) => format!("{rates}; {failures} failed: {reason}"),
        }
    }

    /// Whether every message arrived exactly once.
    pub(crate) fn is_sound(&self) -> bool {
        self.faults() == (0, 0, 0)
    }
}

/// The table; where Postfix was measured too, with the ratios to it.
pub(crate) fn table(cells: &[Cell]) -> String {
    let mut out = String::from(
        "| load | system | accepted/s | delivered/s | CPU s per 1,000 | peak MiB | \
         end of DATA p50/p99 µs | lost/doubled/failed | CPU and delivered to Postfix's |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for cell in cells {
        let postfix = cells
            .iter()
            .find(|other| other.system == "postfix" && other.shape == cell.shape);
        row(&mut out, cell, postfix);
    }
    out
}

fn row(out: &mut String, cell: &Cell, postfix: Option<&Cell>) {
    let m = cell.medians();
    let (lost, doubled, failed) = cell.faults();
    let number = |n: Option<f64>, digits| n.map_or("-".to_owned(), |n| format!("{n:.digits$}"));
    let _ = writeln!(
        out,
        "| {} | {} | {:.0} | {:.0} | {} | {} | {:.0}/{:.0} | {lost}/{doubled}/{failed} | {} |",
        load(cell.shape),
        cell.system,
        m.accepted,
        m.delivered,
        number(m.cpu_ms, 3),
        number(m.memory, 0),
        m.p50,
        m.p99,
        postfix.map_or("-".to_owned(), |postfix| ratios(&m, &postfix.medians())),
    );
}

fn ratios(own: &Medians, postfix: &Medians) -> String {
    let cpu = own
        .cpu_ms
        .zip(postfix.cpu_ms)
        .map(|(own, theirs)| own / theirs);
    let cpu = cpu.map_or("-".to_owned(), |ratio| format!("{ratio:.3}"));
    format!("{cpu} · {:.1}×", own.delivered / postfix.delivered)
}

fn load(shape: Shape) -> String {
    let each = if shape.connection_each {
        ", a connection each"
    } else {
        ""
    };
    format!("{} octets, {} sessions{each}", shape.size, shape.sessions)
}
