"""Promises of the figures of an earlier grid: they go, and nothing else does."""

from __future__ import annotations

from pathlib import Path

from gridloom.figures.earlier import remove_earlier


def test_figures_of_an_earlier_grid_go_and_files_of_a_person_stay(tmp_path):
    ours = [
        "heatmap_a_x_b_mean.png",
        "heatmap_a_x_b_best_val_loss.png",
        "heatmap_a_x_b_by_c_slice.svg",
        "heatmap_largest_3_slice.svg",
        "line_a.pdf",
        "no_figure.txt",
        "effects.png",
        "curves_units.svg",
        "lattice_a_x_b.png",
        "pairs.svg",
        "whole_grid.png",
    ]
    others = {"line_a.txt", "my heatmap_a_x_b_mean.png", "heatmap_of_mine.png", "my_ties.png"}
    for name in [*ours, *others]:
        (tmp_path / name).touch()
    removed = remove_earlier(tmp_path, [Path("elsewhere", ours[0])])
    assert [file.name for file in removed] == sorted(ours[1:])
    assert {file.name for file in tmp_path.iterdir()} == {ours[0], *others}
