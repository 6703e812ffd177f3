-- One birth in a thousand of the years in which the certificate had all eight facts, always the same ones.
-- GoogleSQL; `[[data.source]] bigquery = "rows.sql"` with a `project` that pays for it reads them.
SELECT
  year,
  month,
  weight_pounds,
  is_male,
  mother_age,
  mother_race,
  plurality,
  gestation_weeks,
  mother_married,
  cigarette_use,
  alcohol_use
FROM `bigquery-public-data.samples.natality`
WHERE
  year BETWEEN 1989 AND 2002
  AND weight_pounds > 0
  AND MOD(
    ABS(FARM_FINGERPRINT(CONCAT(
      CAST(year AS STRING), '-', CAST(month AS STRING), '-', CAST(weight_pounds AS STRING), '-', CAST(mother_age AS STRING)
    ))),
    1000
  ) = 0
