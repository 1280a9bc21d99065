"""Where the texts of a figure are, for tests that none overlaps another or leaves the figure."""

from matplotlib.backends.backend_agg import FigureCanvasAgg


def shown_texts(figure):
    """The texts that are seen, of a figure that has been drawn."""
    texts = []
    legends = list(figure.legends)
    for axes in figure.axes:
        legends += [axes.get_legend()] if axes.get_legend() else []
        texts += [*axes.texts, axes.title, axes.xaxis.label, axes.yaxis.label]
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            texts += [
                tick.label1
                for tick in axis.get_major_ticks()
                if low <= tick.get_loc() <= high and tick.label1.get_visible()
            ]
    texts += [text for legend in legends for text in legend.get_texts()] + list(figure.texts)
    return [text for text in texts if text.get_visible() and text.get_text().strip()]


def assert_texts_have_room(figure):
    """No text overlaps another or leaves the figure."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    width, height = canvas.get_width_height()
    seen = [(text.get_text(), text.get_window_extent(renderer)) for text in shown_texts(figure)]
    for number, (text, box) in enumerate(seen):
        assert -0.5 <= box.x0 <= box.x1 <= width + 0.5, text
        assert -0.5 <= box.y0 <= box.y1 <= height + 0.5, text
        for other, its_box in seen[:number]:
            assert not box.padded(-0.5).overlaps(its_box.padded(-0.5)), (text, other)
    return [text for text, _ in seen]
