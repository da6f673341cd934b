"""How ERMVP is taught."""

from __future__ import annotations

import math

import numpy as np
import torch
from codec_features import Features
from codec_lessons import WINDOW, Lesson, Loss, distil
from torch import Tensor
from torch.nn import functional as F

from carla_cp.codecs.base import PACKET_BYTES
from carla_cp.codecs.bitstream import HEADER_BYTES, Table
from carla_cp.codecs.cells import morton
from carla_cp.codecs.clusters import LINK_CONTEXTS, LINKS, dpc_knn, link_bits, links
from carla_cp.codecs.ermvp import PLACE_WEIGHT, SHARES, ErmvpCodec, ErmvpTables
from carla_cp.codecs.infocom import windows
from carla_cp.codecs.positions import BoolArray, PositionModel, mask_of
from carla_cp.codecs.ranking import usefulness
from carla_cp.codecs.tokens import ACTIVITIES, LIMIT, TokenModel
from carla_cp.perception.detector import Detector
from carla_cp.types import FloatArray, IntArray

SCORE_WEIGHT, RATE_WEIGHT = 0.3, 5e-3
FEWEST, MOST = 100, 1300  # cells of a window that are grouped
COUNTS = (120, 400, 1200)  # cells of the messages that tables are learnt from
_TABLE_VIEWS = 40


class ErmvpTeacher:
    """Everything by gradients; groups are found anew at each step."""

    takes_pillars = False

    def __init__(self, codec: ErmvpCodec, detector: Detector, seed: int) -> None:
        self.codec, self.detector = codec, detector

    def loss(self, lesson: Lesson, progress: float, rng: np.random.Generator) -> Loss:
        """Distillation, a price of the mean score and one of the tokens' size.

        Half of the time nothing is selected; else cells that stay away count as lost, so that the score learns, through
        the gate, what each is worth.
        """
        codec = self.codec
        bev = windows(lesson.bev, lesson.corners, WINDOW)
        useful = windows(lesson.useful, lesson.corners, WINDOW)
        owners = None if rng.random() < 0.4 else self._owners(bev, useful, rng)
        rebuilt, score, tokens = codec(bev, owners)
        valid = torch.ones_like(score, dtype=torch.bool)
        if owners is not None:
            gate = score + ((owners >= 0).float() - score).detach()
            rebuilt = rebuilt * gate[:, None]
        task = distil(self.detector, lesson, rebuilt, valid)
        weight = 1.0 if owners is not None else (0.05 + useful).flatten()[:, None]
        size = ((1 + 2 * tokens.abs()).log() * weight).sum() / (tokens[:, :1] * 0 + weight).sum()
        total = task + SCORE_WEIGHT * (score * (1 - useful)).mean() + RATE_WEIGHT * size
        return Loss(total, task.item(), _nats(tokens.detach(), len(bev)))

    @torch.no_grad()
    def _owners(self, bev: Tensor, useful: Tensor, rng: np.random.Generator) -> Tensor:
        """A random share of the cells of each window, grouped to a random share of tokens."""
        latent, score = self.codec.compressed(bev)
        count = int(np.exp(rng.uniform(np.log(FEWEST), np.log(MOST))))
        share = float(rng.choice(SHARES))
        owners = torch.full(score.shape, -1)
        places = torch.cartesian_prod(torch.arange(WINDOW), torch.arange(WINDOW)) * PLACE_WEIGHT
        start = 0
        for row, (steps, value) in enumerate(zip(latent, score * useful, strict=True)):
            chosen = value.flatten().topk(count).indices
            points = torch.cat([steps.flatten(1).T[chosen], places[chosen]], 1)
            owner = torch.from_numpy(dpc_knn(points, math.ceil(share * count)))
            owners[row].view(-1)[chosen] = owner + start
            start += int(owner.max()) + 1
        return owners

    def resume(self) -> None:
        """Nothing goes on but the weights."""

    def usage(self) -> list[FloatArray]:
        """There is no codebook."""
        return []

    @torch.no_grad()
    def learn_tables(self, data: Features, views: list[int]) -> None:
        """Positions, links and tokens of packets with so many cells, per share of tokens."""
        codec, width = self.codec, self.codec.config.width
        masks: list[BoolArray] = []
        sent = [list[tuple[BoolArray, IntArray, IntArray]]() for _ in SHARES]
        for view in views[:: max(1, len(views) // _TABLE_VIEWS)]:
            bev = data.bev_map(view)[None]
            latent, score = codec.compressed(bev)
            value = score * usefulness(self.detector.heat_from_bev(bev))
            cells = torch.cat([latent[0], score]).flatten(1).T.numpy()
            order = np.argsort(-value.flatten().numpy(), kind="stable")
            for count in COUNTS:
                for share, packets in enumerate(sent):
                    for chosen in self._packets(order[:count], share):
                        masks.append(mask_of(chosen, codec.grid.rows, codec.grid.columns))
                        packets.append((masks[-1], *codec.clustered(chosen, cells, share)))
        link_tables, models, bits = [], [], []
        for packets in sent:
            links_of, model = _learnt(packets, width)
            link_tables.append(links_of)
            models.append(model)
            cost = sum(link_bits(mask, owner, links_of) + model.bits(tokens) for mask, tokens, owner in packets)
            bits.append(cost / sum(len(owner) for _, _, owner in packets))
        codec.set_tables(ErmvpTables(PositionModel.learnt(masks), tuple(link_tables), tuple(models), np.array(bits)))

    def _packets(self, chosen: IntArray, share: int) -> list[IntArray]:
        """Cells by packet, sorted, of a message about as large as such a one is."""
        size = len(chosen) * (5.0 + 30.0 * SHARES[share]) / 8
        pieces = np.array_split(
            morton(chosen, self.codec.grid.columns), math.ceil(size / (PACKET_BYTES - HEADER_BYTES))
        )
        return [np.sort(piece) for piece in pieces]


def _learnt(packets: list[tuple[BoolArray, IntArray, IntArray]], width: int) -> tuple[tuple[Table, ...], TokenModel]:
    """Tables of links and the model of tokens that suit packets of masks, tokens and owners."""
    link_counts = np.full((LINK_CONTEXTS, LINKS), 0.2)
    token_counts = np.zeros((width, ACTIVITIES, 2 * LIMIT + 1))
    for mask, tokens, owner in packets:
        symbols, contexts, _ = links(mask, owner)
        np.add.at(link_counts, (contexts, symbols), 1.0)
        TokenModel.count(tokens, token_counts)
    return tuple(Table.from_counts(row) for row in link_counts), TokenModel.learnt(token_counts)


def _nats(tokens: Tensor, views: int) -> float:
    """The entropy of a view's tokens, were each channel coded by how often its values are used."""
    values = tokens.round().clamp(-LIMIT, LIMIT)
    shares = torch.stack([F.one_hot((column + LIMIT).long(), 2 * LIMIT + 1).float().mean(0) for column in values.T])
    return float(-(shares * (shares + 1e-12).log()).sum()) * len(tokens) / views
